//go:build !fixed

package main

import (
	"context"
	"encoding/json"
	"net/http"
)

const version = "1.8.2"

// charge charges the card and returns the receipt. It has a mistake: it takes what comes back for a receipt, whatever the status.
func (s *service) charge(ctx context.Context, in request) (string, error) {
	req, err := s.chargeRequest(ctx, http.MethodPost, "/charges", in)
	if err != nil {
		return "", err
	}
	resp, err := s.provider.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var receipt struct{ Receipt string }
	if err := json.NewDecoder(resp.Body).Decode(&receipt); err != nil {
		return "", err
	}
	return receipt.Receipt, nil
}
