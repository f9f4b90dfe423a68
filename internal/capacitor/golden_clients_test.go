package capacitor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/flux-go/flux/internal/capacitor/wire"
)

// What official clients and their own test server said to each other, byte by byte, is played to Flux: it has to give
// every request the answer that the test server gave, but for times, indexes, and what the test server leaves out. The
// transcripts come from `scripts/conformance-java --record`; Recorder in conformance/java describes their lines.
func TestOfficialClientsGetTheAnswersOfTheirTestServer(t *testing.T) {
	t.Parallel()
	var files []string
	err := filepath.WalkDir("testdata/golden", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, "testdata/golden/"), func(t *testing.T) {
			t.Parallel()
			player := &player{t: t, server: start(t, Options{}), sockets: map[string]*goldenSocket{}}
			player.play(file)
		})
	}
}

// player plays one transcript.
type player struct {
	t       *testing.T
	server  *server
	sockets map[string]*goldenSocket
	line    int
}

// goldenSocket is a socket of the transcript, opened anew.
type goldenSocket struct {
	target      string
	header      http.Header
	conn        *websocket.Conn
	compression wire.Compression
	results     map[int64]map[string]any // that came before they were due, by request
}

func (p *player) play(file string) {
	p.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		p.line++
		if line := lines.Text(); line != "" && line[0] != '#' {
			p.step(line)
		}
	}
	if lines.Err() != nil {
		p.t.Fatal(lines.Err())
	}
	for number, socket := range p.sockets {
		if len(socket.results) > 0 {
			p.t.Errorf("socket %s: results that the test server did not send: %v", number, socket.results)
		}
	}
}

// step plays one line.
func (p *player) step(line string) {
	p.t.Helper()
	number, rest, _ := strings.Cut(line, " ")
	kind, rest, _ := strings.Cut(rest, " ")
	switch kind {
	case "GET":
		p.sockets[number] = &goldenSocket{target: rest, header: http.Header{}, results: map[int64]map[string]any{}}
	case ">", ">>":
		p.send(p.sockets[number], content(p.t, kind, rest))
	case "<", "<<":
		p.expect(p.sockets[number], content(p.t, kind, rest))
	default:
		p.sockets[number].header.Set(strings.TrimSuffix(kind, ":"), rest)
	}
}

// content returns the bytes of a websocket message.
func content(t *testing.T, kind, text string) []byte {
	t.Helper()
	if len(kind) == 1 {
		return []byte(text)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (p *player) open(s *goldenSocket) {
	p.t.Helper()
	if s.conn != nil {
		return
	}
	target, err := url.Parse(s.target)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, p.server.http.URL+s.target, &websocket.DialOptions{HTTPHeader: s.header})
	if err != nil {
		p.t.Fatalf("line %d: %v", p.line, err)
	}
	conn.SetReadLimit(-1)
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	s.conn = conn
	s.compression, _ = wire.ParseCompression(target.Query().Get("compression"))
	if name := response.Header.Get("Fluxzero-Selected-Compression-Algorithm"); name != "" {
		s.compression, _ = wire.ParseCompression(name)
	}
}

func (p *player) send(s *goldenSocket, content []byte) {
	p.t.Helper()
	p.open(s)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageBinary, content); err != nil {
		p.t.Fatalf("line %d: %v", p.line, err)
	}
}

// expect waits for the results of a recorded message and compares them.
func (p *player) expect(s *goldenSocket, recorded []byte) {
	p.t.Helper()
	for _, want := range p.decode(s, recorded) {
		id := want["requestId"].(json.Number)
		got := p.result(s, id)
		if diff := differs("", withoutTimestamp(want), got); diff != "" {
			p.t.Errorf("line %d: %s\n got %v\nwant %v", p.line, diff, got, want)
		}
	}
}

// result returns the result of a request, and keeps others that come before it.
func (p *player) result(s *goldenSocket, number json.Number) map[string]any {
	p.t.Helper()
	id, err := number.Int64()
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for s.results[id] == nil {
		_, raw, err := s.conn.Read(ctx)
		if err != nil {
			p.t.Fatalf("line %d: no result of request %d: %v", p.line, id, err)
		}
		for _, result := range p.decode(s, raw) {
			came, err := result["requestId"].(json.Number).Int64()
			if err != nil {
				p.t.Fatal(err)
			}
			s.results[came] = result
		}
	}
	defer delete(s.results, id)
	return s.results[id]
}

// decode returns the results of a websocket message.
func (p *player) decode(s *goldenSocket, raw []byte) []map[string]any {
	p.t.Helper()
	text, err := wire.Decompress(raw, s.compression, 1<<26)
	if err != nil {
		p.t.Fatalf("line %d: %v", p.line, err)
	}
	var result struct {
		Type    string           `json:"@type"`
		Results []map[string]any `json:"results"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := json.Unmarshal(text, &result); err != nil {
		p.t.Fatalf("line %d: %v", p.line, err)
	}
	if result.Type != "resultBatch" {
		result.Results = make([]map[string]any, 1)
		err = decoder.Decode(&result.Results[0])
	} else {
		result.Results = nil
		err = decoder.Decode(&result)
	}
	if err != nil {
		p.t.Fatalf("line %d: %v", p.line, err)
	}
	return result.Results
}

// withoutTimestamp leaves out when a result was made.
func withoutTimestamp(result map[string]any) map[string]any {
	result = maps.Clone(result)
	delete(result, "timestamp")
	return result
}

// ofTheMoment names members that tell of the time of the recording: only whether they are null is compared.
var ofTheMoment = []string{".index", ".lastIndex"}

// ofTheServer names members in which Flux differs from the test server, on purpose: it notes where a consumer begins when
// it sees it first.
var ofTheServer = []string{".messageBatch.position"}

// differs tells where got lacks something that want has. Members that only got has are of later servers.
func differs(at string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is no object", at)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if diff := differs(at+"."+name, want[name], got[name]); diff != "" {
				return diff
			}
		}
		return ""
	case []any:
		return listDiffers(at, want, got)
	}
	moment := slices.ContainsFunc(ofTheMoment, func(name string) bool { return strings.HasSuffix(at, name) })
	if moment && want != nil && got != nil || want == got {
		return ""
	}
	return fmt.Sprintf("%s is %v, want %v", at, got, want)
}

func listDiffers(at string, want []any, other any) string {
	got, ok := other.([]any)
	switch {
	case slices.Contains(ofTheServer, at) && ok:
		return ""
	case !ok || len(got) != len(want):
		return fmt.Sprintf("%s is %v, want %v", at, other, want)
	}
	for i := range want {
		if diff := differs(fmt.Sprintf("%s[%d]", at, i), want[i], got[i]); diff != "" {
			return diff
		}
	}
	return ""
}
