// Package server is the Flux server, to run as a process of its own or within another program:
//
//	s, err := server.Start(ctx, server.Config{Dir: "flux-data"})
//	if err != nil {
//		return err
//	}
//	defer s.Shutdown(context.Background())
//	fmt.Println("listening on", s.URL())
//
// In a test, server.Start(t.Context(), server.Config{Listen: "127.0.0.1:0"}) is a server in memory on a free port.
//
// It is the only package that wires everything. One port serves the native API (gRPC, gRPC-Web, HTTP with JSON), GET /health
// and GET /metrics, over HTTP/1.1 and HTTP/2 without encryption; put a proxy before it for TLS.
package server
