//go:build fixed

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

const version = "1.8.3"

// charge charges the card and returns the receipt. When the provider cannot say whether it did, it is asked once more what became
// of the order.
func (s *service) charge(ctx context.Context, in request) (string, error) {
	receipt, status, err := s.ask(ctx, http.MethodPost, "/charges", in)
	if status >= 500 {
		receipt, status, err = s.ask(ctx, http.MethodGet, "/charges/"+in.Order, in)
	}
	if err == nil && status >= 400 {
		err = fmt.Errorf("the provider answered %d", status)
	}
	return receipt, err
}

func (s *service) ask(ctx context.Context, method, path string, in request) (receipt string, status int, err error) {
	req, err := s.chargeRequest(ctx, method, path, in)
	if err != nil {
		return "", 0, err
	}
	resp, err := s.provider.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return "", resp.StatusCode, nil
	}
	var answer struct{ Receipt string }
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Receipt, resp.StatusCode, err
}
