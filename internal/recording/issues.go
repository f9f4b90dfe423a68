package recording

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// IssuePage is a part of a list of issues.
type IssuePage struct {
	Issues []Issue
	// Next is where to go on. Empty when there are no more.
	Next string
}

// Issues returns up to limit issues that want picks, those that were seen last first. After is the Next of the page before.
func (x *Executions) Issues(ns message.Namespace, want func(*Issue) bool, after string, limit int) (page IssuePage, err error) {
	view := x.engine.View()
	defer view.Close()
	prefix := engine.AppendKey(nil, ns, engine.FamilyIssueOrder)
	start, err := issueStart(prefix, after)
	if err != nil {
		return page, err
	}
	it, err := view.Scan(start, engine.PrefixEnd(prefix))
	if err != nil {
		return page, err
	}
	r := reader{view, ns}
	for err == nil && it.Next() {
		if len(page.Issues) == limit {
			page.Next = hex.EncodeToString(bytes.TrimPrefix(it.Key(), prefix))
			break
		}
		var key engine.Key
		var issue *Issue
		if key, err = engine.ParseKey(it.Key()); err == nil {
			issue, err = r.issue(key.Rest)
		}
		if err == nil && want(issue) {
			page.Issues = append(page.Issues, *issue)
		}
	}
	return page, errors.Join(err, it.Close())
}

// issueStart returns the key at which a list goes on.
func issueStart(prefix []byte, after string) ([]byte, error) {
	rest, err := hex.DecodeString(after)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrBadCursor, after)
	}
	return append(bytes.Clone(prefix), rest...), nil
}

func (r reader) issue(fingerprint string) (*Issue, error) {
	raw, err := r.view.Get(issueKey(r.ns, fingerprint))
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, fmt.Errorf("%w: no issue %s", engine.ErrCorrupt, fingerprint)
	}
	return decodeIssue(fingerprint, raw)
}

// minFingerprint is the length of the shortest beginning of a fingerprint that is looked for.
const minFingerprint = 4

// Issue returns an issue by its fingerprint or by a beginning of it, of at least 4 digits, that no other has, and the newest
// execution that failed so, nil when none is kept. Errors are ErrNotFound and ErrAmbiguous.
func (x *Executions) Issue(ns message.Namespace, fingerprint string) (*Issue, *Item, error) {
	view := x.engine.View()
	defer view.Close()
	r := reader{view, ns}
	whole, err := r.resolveIssue(fingerprint)
	if err != nil {
		return nil, nil, err
	}
	issue, err := r.issue(whole)
	if err != nil {
		return nil, nil, err
	}
	sample, err := r.sample(whole)
	return issue, sample, err
}

func (r reader) resolveIssue(text string) (string, error) {
	if len(text) < minFingerprint {
		return "", fmt.Errorf("%w: issue %q: use at least %d digits", ErrNotFound, text, minFingerprint)
	}
	it, err := r.view.ScanPrefix(issueKey(r.ns, text))
	if err != nil {
		return "", err
	}
	var candidates []string
	for err == nil && len(candidates) <= maxCandidates && it.Next() {
		var key engine.Key
		key, err = engine.ParseKey(it.Key())
		candidates = append(candidates, key.Rest)
	}
	if err = cmp.Or(errors.Join(err, it.Close()), choose("issue", text, candidates)); err != nil {
		return "", err
	}
	return candidates[0], nil
}

// sample returns the newest execution with a fingerprint that counts, of the last few.
func (r reader) sample(fingerprint string) (*Item, error) {
	page, err := r.list(&Filter{Fingerprint: fingerprint, Failed: true}, newest, 100)
	for i := range page.Items {
		if counts(&page.Items[i].Summary) {
			return &page.Items[i], nil
		}
	}
	return nil, err
}
