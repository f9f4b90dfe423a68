package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/flux-go/flux/internal/capacitor"
)

// trafficCollector tells of the sockets of Flux Capacitor clients when somebody looks.
type trafficCollector struct{ handler *capacitor.Handler }

var (
	socketsDesc = prometheus.NewDesc("flux_capacitor_sockets", "Open sockets of Flux Capacitor clients.", []string{"path"}, nil)
	openedDesc  = prometheus.NewDesc("flux_capacitor_sockets_opened_total", "Sockets that such clients opened.", []string{"path"}, nil)
	framesDesc  = prometheus.NewDesc("flux_capacitor_frames_total", "Websocket messages from (in) and to (out) such clients.",
		[]string{"path", "direction"}, nil)
	bytesDesc = prometheus.NewDesc("flux_capacitor_bytes_total", "Bytes of these messages, as they are sent.",
		[]string{"path", "direction"}, nil)
	errorsDesc = prometheus.NewDesc("flux_capacitor_errors_total",
		"Requests of such clients that were not carried out (request), and messages that could not be read (unreadable).",
		[]string{"path", "what"}, nil)
)

// Describe implements prometheus.Collector.
func (c trafficCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{socketsDesc, openedDesc, framesDesc, bytesDesc, errorsDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c trafficCollector) Collect(to chan<- prometheus.Metric) {
	for _, t := range c.handler.Traffic() {
		count := func(d *prometheus.Desc, value int64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), append([]string{t.Path}, labels...)...)
		}
		to <- prometheus.MustNewConstMetric(socketsDesc, prometheus.GaugeValue, float64(t.Open), t.Path)
		count(openedDesc, t.Opened)
		count(framesDesc, t.FramesIn, "in")
		count(framesDesc, t.FramesOut, "out")
		count(bytesDesc, t.BytesIn, "in")
		count(bytesDesc, t.BytesOut, "out")
		count(errorsDesc, t.Errors, "request")
		count(errorsDesc, t.Unreadable, "unreadable")
	}
}
