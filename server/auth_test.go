package server_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/server"
)

const (
	readToken  = "the token of readers"
	writeToken = "the token of writers"
	adminToken = "the token of admins"
	allToken   = "the token of operators"
)

// startWithTokens starts a server with a token for each right in the namespace public, and one for everything.
func startWithTokens(t *testing.T, c server.Config) *server.Server {
	t.Helper()
	c.TokensFile = filepath.Join(t.TempDir(), "tokens.json")
	content := `[
		{"name":"r","token":"` + readToken + `","namespaces":["public"],"rights":["read"]},
		{"name":"w","token":"` + writeToken + `","namespaces":["public"],"rights":["write"]},
		{"name":"a","token":"` + adminToken + `","namespaces":["public"],"rights":["admin"]},
		{"name":"all","token":"` + allToken + `","namespaces":["*"],"rights":["read","write","admin"]}]`
	if err := os.WriteFile(c.TokensFile, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, c)
}

func TestEachProcedureNeedsItsRight(t *testing.T) {
	t.Parallel()
	s := startWithTokens(t, server.Config{})
	const reader, writer, admin, all = 1, 2, 4, 8
	for procedure, allowed := range map[string]int{
		fluxv1connect.LogServiceAppendProcedure:             writer | all,
		fluxv1connect.LogServiceCommitProcedure:             writer | all,
		fluxv1connect.LogServiceReadProcedure:               reader | all,
		fluxv1connect.LogServiceRequestProcedure:            all,
		fluxv1connect.LogServiceListLogsProcedure:           reader | all,
		fluxv1connect.LogServiceSetRetentionProcedure:       admin | all,
		fluxv1connect.LogServiceTruncateProcedure:           admin | all,
		fluxv1connect.TrackingServicePollProcedure:          reader | all,
		fluxv1connect.TrackingServiceDisconnectProcedure:    reader | all,
		fluxv1connect.TrackingServiceStorePositionProcedure: reader | all,
		fluxv1connect.TrackingServiceResetPositionProcedure: admin | all,
		fluxv1connect.TrackingServiceGetConsumerProcedure:   reader | all,
		fluxv1connect.TrackingServiceListConsumersProcedure: reader | all,
		fluxv1connect.AdminServiceInfoProcedure:             all,

		fluxv1connect.ExecutionServiceRecordExecutionsProcedure:      writer | all,
		fluxv1connect.ExecutionServiceGetExecutionProcedure:          reader | all,
		fluxv1connect.ExecutionServiceListExecutionsProcedure:        reader | all,
		fluxv1connect.ExecutionServiceGetExecutionTreeProcedure:      reader | all,
		fluxv1connect.ExecutionServiceDeleteExecutionsProcedure:      admin | all,
		fluxv1connect.ExecutionServicePinExecutionProcedure:          writer | all,
		fluxv1connect.ExecutionServiceListIssuesProcedure:            reader | all,
		fluxv1connect.ExecutionServiceGetIssueProcedure:              reader | all,
		fluxv1connect.ExecutionServiceResolveIssueProcedure:          writer | all,
		fluxv1connect.ExecutionServiceGetExecutionRetentionProcedure: reader | all,
		fluxv1connect.ExecutionServiceSetExecutionRetentionProcedure: admin | all,
		fluxv1connect.ExecutionServiceAcquireLeaseProcedure:          writer | all,
		fluxv1connect.ExecutionServiceRenewLeaseProcedure:            writer | all,
		fluxv1connect.ExecutionServiceReleaseLeaseProcedure:          writer | all,
		fluxv1connect.ExecutionServiceAnswerCommandProcedure:         all,
		fluxv1connect.ExecutionServiceCommandInstanceProcedure:       all,
		fluxv1connect.ExecutionServiceListInstancesProcedure:         reader | all,
		fluxv1connect.ExecutionServiceReportProcessProcedure:         writer | all,
		fluxv1connect.ExecutionServiceListProcessesProcedure:         reader | all,
	} {
		for token, bit := range map[string]int{readToken: reader, writeToken: writer, adminToken: admin, allToken: all} {
			status, answer := post(t, s, procedure, `{}`, "Authorization", "Bearer "+token)
			if allowed&bit == 0 {
				wantJSONError(t, status, answer, http.StatusForbidden, "forbidden")
			} else if status == http.StatusForbidden || status == http.StatusUnauthorized {
				t.Errorf("%s with %q: %v", procedure, token, answer)
			}
		}
		for _, header := range []string{"", "Bearer", "Bearer wrong and long enough", "Basic " + allToken, allToken} {
			status, answer := post(t, s, procedure, `{}`, "Authorization", header)
			wantJSONError(t, status, answer, http.StatusUnauthorized, "unauthenticated")
		}
	}
}

func TestTokensHoldInTheirNamespacesOnly(t *testing.T) {
	t.Parallel()
	s := startWithTokens(t, server.Config{})
	status, answer := post(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`,
		"Authorization", "Bearer "+readToken, "Flux-Namespace", "other")
	wantJSONError(t, status, answer, http.StatusForbidden, "forbidden")
	mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`,
		"Authorization", "bearer  "+allToken, "Flux-Namespace", "other")
}

func TestStreamsNeedTokensToo(t *testing.T) {
	t.Parallel()
	s := startWithTokens(t, server.Config{})
	publish := logClient(t, s).Publish(t.Context())
	publish.RequestHeader().Set("Authorization", "Bearer "+readToken)
	if err := publish.Send(nil); err != nil {
		t.Fatal(err)
	}
	_, err := publish.Receive()
	if got := detailOf(err); got.GetCode() != "forbidden" {
		t.Errorf("publish with the right to read: %v", err)
	}
	_ = publish.CloseRequest()
}

func TestHealthIsOpenAndMetricsAreNotUnlessSaidSo(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		s := startWithTokens(t, server.Config{OpenMetrics: open})
		if status, body := get(t, s, "/health"); status != http.StatusOK || body != "Healthy" {
			t.Errorf("health: %d %q", status, body)
		}
		if status, _ := get(t, s, "/metrics"); (status == http.StatusOK) != open {
			t.Errorf("metrics without token, open %v: %d", open, status)
		}
		status, body := get(t, s, "/metrics", "Authorization", "Bearer "+readToken)
		if status != http.StatusOK || !strings.Contains(body, "flux_store_disk_bytes") {
			t.Errorf("metrics with token: %d", status)
		}
	}
}

func TestBadConfigsAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config server.Config
		say    string
		is     error
	}{
		"open to all":         {server.Config{Listen: "0.0.0.0:0"}, `Listen "0.0.0.0:0" is open to other machines`, server.ErrBadConfig},
		"no host":             {server.Config{Listen: ":0"}, "open to other machines", server.ErrBadConfig},
		"a name":              {server.Config{Listen: "example.com:0"}, "open to other machines", server.ErrBadConfig},
		"no port":             {server.Config{Listen: "127.0.0.1"}, `Listen "127.0.0.1"`, server.ErrBadConfig},
		"small messages":      {server.Config{MaxMessageBytes: 1}, "MaxMessageBytes 1", server.ErrBadConfig},
		"large messages":      {server.Config{MaxMessageBytes: 1 << 30}, "MaxMessageBytes 1073741824", server.ErrBadConfig},
		"negative cache":      {server.Config{CacheBytes: -1}, "CacheBytes -1", server.ErrBadConfig},
		"negative time":       {server.Config{RetentionEvery: -1}, "RetentionEvery -1ns", server.ErrBadConfig},
		"tokens do not exist": {server.Config{TokensFile: "does-not-exist.json"}, "does-not-exist.json", os.ErrNotExist},
		"tokens are bad":      {server.Config{TokensFile: "auth_test.go"}, "auth_test.go", auth.ErrBadTokens},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.config.Listen == "" {
				test.config.Listen = "127.0.0.1:0"
			}
			s, err := server.Start(t.Context(), test.config)
			if err == nil {
				t.Fatal("started", s.URL())
			}
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.say) {
				t.Errorf("%v, want it to say %q", err, test.say)
			}
		})
	}
	for _, listen := range []string{"localhost:0", "[::1]:0", "127.0.0.2:0"} {
		if err := (server.Config{Listen: listen}).WithDefaults().Validate(); err != nil {
			t.Error(err)
		}
	}
	if err := (server.Config{Listen: "0.0.0.0:0", Insecure: true}).WithDefaults().Validate(); err != nil {
		t.Error(err)
	}
}
