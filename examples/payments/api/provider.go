package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
)

// chargeRequest is a request to the provider. The order is its idempotency key: the provider charges an order once.
func (s *service) chargeRequest(ctx context.Context, method, path string, in request) (*http.Request, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if method == http.MethodGet {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", in.Order)
	return req, nil
}
