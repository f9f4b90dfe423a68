package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/native"
)

// metrics are the figures of the server for Prometheus. What others know is asked for only when somebody looks.
type metrics struct {
	registry *prometheus.Registry

	messages, bytes prometheus.Counter
	transactions    *prometheus.CounterVec
	committed       prometheus.Counter // of transactions, those that went well
	refused         prometheus.Counter // the others
	commits         prometheus.Histogram
	calls           *prometheus.CounterVec
	took            *prometheus.HistogramVec
}

// newMetrics must come before the first transaction.
func newMetrics(e *engine.Engine) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flux_messages_appended_total", Help: "Messages appended to logs.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flux_appended_bytes_total", Help: "Bytes of blocks appended to logs, as they are stored.",
		}),
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flux_transactions_total", Help: "Transactions of callers by outcome.",
		}, []string{"outcome"}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "flux_commit_seconds", Help: "Time from the proposal of a transaction until it is on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flux_calls_total", Help: "Calls of the native API that ended, by procedure and code.",
		}, []string{"procedure", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "flux_call_seconds", Help: "Time that calls of the native API took, streams included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 12),
		}, []string{"procedure"}),
	}
	m.committed, m.refused = m.transactions.WithLabelValues("committed"), m.transactions.WithLabelValues("refused")
	m.registry.MustRegister(m.messages, m.bytes, m.transactions, m.commits, m.calls, m.took,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registerStore(e)
	e.Subscribe(m.observe)
	return m
}

// registerStore registers what the engine knows.
func (m *metrics) registerStore(e *engine.Engine) {
	for _, gauge := range []struct {
		name, help string
		value      func() float64
	}{
		{"flux_store_disk_bytes", "Size of all files of the store.", func() float64 { return float64(e.Metrics().DiskBytes) }},
		{"flux_store_memtable_bytes", "Bytes that are in memory and in the write-ahead log only.", func() float64 { return float64(e.Metrics().MemTableBytes) }},
		{"flux_store_queued_transactions", "Transactions that wait for the sequencer.", func() float64 { return float64(e.Metrics().Queued) }},
		{"flux_store_read_only", "1 when the store takes no more writes after a failure of the disk.", func() float64 { return oneIf(e.Err() != nil) }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: gauge.name, Help: gauge.help}, gauge.value))
	}
}

func (m *metrics) register(c prometheus.Collector) { m.registry.MustRegister(c) }

var (
	consumersDesc = prometheus.NewDesc("flux_consumers", "Consumers that have a position or trackers.", nil, nil)
	trackersDesc  = prometheus.NewDesc("flux_trackers", "Trackers that have joined a consumer.", nil, nil)
)

// consumerCollector counts consumers and trackers when somebody looks.
type consumerCollector struct{ service *native.Service }

// Describe implements prometheus.Collector.
func (c consumerCollector) Describe(to chan<- *prometheus.Desc) {
	to <- consumersDesc
	to <- trackersDesc
}

// Collect implements prometheus.Collector.
func (c consumerCollector) Collect(to chan<- prometheus.Metric) {
	consumers, trackers, err := c.service.CountConsumers(context.Background())
	if err != nil {
		to <- prometheus.NewInvalidMetric(consumersDesc, err)
		return
	}
	to <- prometheus.MustNewConstMetric(consumersDesc, prometheus.GaugeValue, float64(consumers))
	to <- prometheus.MustNewConstMetric(trackersDesc, prometheus.GaugeValue, float64(trackers))
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}

// observe is a subscriber of the engine: it adds up a group before it touches the counters.
func (m *metrics) observe(events []any) {
	messages, size := 0, 0
	for _, event := range events {
		if appended, ok := event.(messagelog.Appended); ok {
			messages += int(appended.Entry.Last-appended.Entry.First) + 1
			size += len(appended.Entry.Blocks)
		}
	}
	m.messages.Add(float64(messages))
	m.bytes.Add(float64(size))
}

// Called implements native.Observer.
func (m *metrics) Called(procedure, code string, took time.Duration) {
	m.calls.WithLabelValues(procedure, code).Inc()
	m.took.WithLabelValues(procedure).Observe(took.Seconds())
}

// Committed implements native.Observer.
func (m *metrics) Committed(took time.Duration, err error) {
	if err != nil {
		m.refused.Inc()
		return
	}
	m.committed.Inc()
	m.commits.Observe(took.Seconds())
}
