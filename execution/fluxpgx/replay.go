package fluxpgx

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/internal/sqltext"
	"github.com/flux-go/flux/execution/record"
)

// replay is what a record has of a database beside the outcomes of its statements. It does not hold the execution that replays.
type replay struct {
	target     string
	parameters map[string]string            // of the server
	described  map[string]*describeResponse // what statements look like, by their text
	setup      map[string]*recordedExchange // by canonical request
	refused    map[string]bool              // texts of COPY that the server refused before it took data

	mu            sync.Mutex
	notifications int             // that were not delivered yet
	answered      int             // statements
	failures      []failedConnect // that did not happen yet
}

// failedConnect is an attempt to connect that failed after so many statements.
type failedConnect struct {
	after int
	err   *record.Error
}

type recordedExchange struct {
	Request   json.RawMessage   `json:"request"`
	Response  json.RawMessage   `json:"response"`
	Statement *describeResponse `json:"statement"`
}

func newReplay(of *record.Execution, target string) *replay {
	r := &replay{
		target: target, described: make(map[string]*describeResponse), setup: make(map[string]*recordedExchange),
		refused: make(map[string]bool),
	}
	statements := 0
	for i := range of.Checkpoints {
		cp := &of.Checkpoints[i]
		if cp.Boundary != boundary || cp.Target != target {
			continue
		}
		switch cp.Shape {
		case shapeConnect:
			r.learnConnect(cp, statements)
		case shapeSetup:
			r.learnSetup(cp)
		case shapeNotification:
			r.notifications++
		default:
			r.learnStatement(cp)
		}
		if cp.Effect != record.EffectNone {
			statements++
		}
	}
	return r
}

func (r *replay) learnConnect(cp *record.Checkpoint, after int) {
	if cp.Error != nil {
		r.failures = append(r.failures, failedConnect{after, cp.Error})
		return
	}
	var response struct {
		Parameters map[string]string `json:"parameters"`
	}
	if json.Unmarshal(cp.Response.Data, &response) == nil {
		r.parameters = response.Parameters
	}
}

func (r *replay) learnSetup(cp *record.Checkpoint) {
	var response struct {
		Setup []*recordedExchange `json:"setup"`
	}
	if json.Unmarshal(cp.Response.Data, &response) != nil {
		return
	}
	for _, e := range response.Setup {
		r.setup[setupKeyOf(e.Request, e.Statement != nil)] = e
	}
}

// setupKeyOf makes requests comparable, however their JSON was written.
func setupKeyOf(request []byte, describes bool) string {
	var v any
	_ = json.Unmarshal(request, &v)
	text, _ := json.Marshal(v)
	return fmt.Sprint(describes, string(text))
}

func (r *replay) learnStatement(cp *record.Checkpoint) {
	var request struct {
		SQL  string `json:"sql"`
		Args []struct {
			Type string `json:"type"`
		} `json:"args"`
		Copy *record.Body `json:"copy"`
	}
	var response responseJSON
	if json.Unmarshal(cp.Request.Data, &request) != nil || len(cp.Response.Data) > 0 && json.Unmarshal(cp.Response.Data, &response) != nil {
		return
	}
	parsed := sqltext.Parse(request.SQL)
	r.refused[parsed.Text] = r.refused[parsed.Text] || isCopyIn(&parsed) && request.Copy == nil && cp.Error != nil
	if known := r.described[parsed.Text]; known != nil && (known.Columns != nil || response.Columns == nil) || cp.Effect == record.EffectNone {
		return
	}
	d := &describeResponse{Columns: response.Columns}
	for _, arg := range request.Args {
		d.Parameters = append(d.Parameters, arg.Type)
	}
	r.described[parsed.Text] = d
}

// connect returns the error with which it is time for an attempt to connect to fail.
func (r *replay) connect() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) == 0 || r.failures[0].after > r.answered {
		return nil
	}
	err := fault.Rebuild(r.failures[0].err, ErrorKind())
	r.failures = r.failures[1:]
	return err
}

// dialVirtual connects to nothing.
func (a *adapter) dialVirtual(ctx context.Context) (net.Conn, error) {
	w := newWire(ctx, a, nil)
	w.virtual = true
	if try := attemptOf(ctx); try != nil && try.replay != nil {
		if w.refusal = serverError(try.replay); w.refusal == nil {
			return nil, try.replay
		}
	}
	return w, nil
}

// Codes of requests that come instead of a start-up.
const (
	codeCancel = 80877102
	codeTLS    = 80877103
	codeGSS    = 80877104
)

// startUp answers the first message of a virtual connection: there is no encryption and no password.
func (w *wire) startUp(p []byte) {
	w.in = append(w.in, p...)
	for len(w.in) >= 8 && !w.started {
		n := int(binary.BigEndian.Uint32(w.in))
		if n < 8 || n > len(w.in) {
			return
		}
		switch code := binary.BigEndian.Uint32(w.in[4:]); {
		case code == codeTLS || code == codeGSS:
			w.out = append(w.out, 'N')
		case code == codeCancel:
			w.err = net.ErrClosed
		case w.refusal != nil:
			w.out = encode(w.out, errorResponse(w.refusal))
		default:
			w.welcome()
		}
		w.in = w.in[n:]
	}
	w.changed.Broadcast()
}

func (w *wire) welcome() {
	parameters := map[string]string{
		"client_encoding": "UTF8", "server_encoding": "UTF8", "standard_conforming_strings": "on", "integer_datetimes": "on",
		"DateStyle": "ISO, MDY", "TimeZone": "UTC",
	}
	if r := w.replay(); r != nil {
		for name, value := range r.parameters {
			parameters[name] = value
		}
	}
	w.out = encode(w.out, &pgproto3.AuthenticationOk{})
	for name, value := range parameters {
		w.out = encode(w.out, &pgproto3.ParameterStatus{Name: name, Value: value})
	}
	w.out = encode(w.out, &pgproto3.BackendKeyData{SecretKey: make([]byte, 4)})
	w.out = encode(w.out, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	w.started = true
}

// replay returns what the execution is replayed from.
func (w *wire) replay() *replay { return w.a.replayOf(w.a.rec.ExecutionIn(w.ctx)) }

// encode appends a message.
func encode(to []byte, m pgproto3.BackendMessage) []byte {
	out, err := m.Encode(to)
	if err != nil {
		return to
	}
	return out
}

// hold keeps an answer until it is known whether the statement fails.
func (w *wire) hold(m pgproto3.BackendMessage) { w.held = encode(w.held, m) }

func (w *wire) release() []byte {
	held := w.held
	w.held = nil
	return held
}

// fail ends the connection of a replay as it ended then.
func (w *wire) fail(err error) {
	if w.virtual && w.err == nil {
		w.err = err
	}
}

// answerDescribe says what a statement looks like.
func (w *wire) answerDescribe(st *statement) {
	op := w.startDescribe(st)
	if w.refused != nil || w.skipping {
		return
	}
	d, err := w.description(st, op)
	switch {
	case w.refused != nil:
		return
	case err != nil:
		w.release()
		w.answerError(err)
		return
	}
	st.oids, st.fields, st.described = d.oids(), d.fields(), true
	for i := range st.fields {
		st.fields[i].Format = formatText
	}
	data := encode(w.release(), &pgproto3.ParameterDescription{ParameterOIDs: st.oids})
	if st.fields == nil {
		data = encode(data, &pgproto3.NoData{})
	} else {
		data = encode(data, &pgproto3.RowDescription{Fields: st.fields})
	}
	w.reply(data)
}

// description looks where a record may say what a statement looks like: where it was prepared, or else where it was executed.
func (w *wire) description(st *statement, op *operation) (*describeResponse, error) {
	if op == nil {
		return &describeResponse{}, nil
	}
	r := w.replay()
	if op.call == nil {
		if e := r.setup[setupKeyOf(marshal(op.request), true)]; e != nil {
			return e.Statement, nil
		}
		return nil, errNoSetup(op)
	}
	cp := op.call.Recorded()
	if cp.Error != nil {
		return nil, fault.Rebuild(cp.Error, ErrorKind())
	}
	if len(cp.Response.Data) > 0 {
		d := new(describeResponse)
		return d, json.Unmarshal(cp.Response.Data, d)
	}
	if d := r.described[w.a.statements.Parse(st.sql).Text]; d != nil {
		return d, nil
	}
	w.start(&request{sql: st.sql}) // it is not in the record: the replay stops here
	return &describeResponse{}, nil
}

func errNoSetup(op *operation) error {
	return fmt.Errorf("%w: the record does not have %q, which sets the connection up", execution.ErrDiverged, op.request.sql)
}

// An answer is what a record says about a statement.
type answer struct {
	responseJSON
	err error
}

func (w *wire) answerOf(op *operation, sql string) answer {
	var a answer
	var data []byte
	switch {
	case op == nil:
		a.Tag = new(string)
		return a
	case op.call == nil:
		e := w.replay().setup[setupKeyOf(marshal(op.request), false)]
		if e == nil {
			a.err = errNoSetup(op)
			return a
		}
		data = e.Response
	default:
		data, a.err = op.call.Recorded().Response.Data, fault.Rebuild(op.call.Recorded().Error, ErrorKind())
		w.count(op.call.Recorded())
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &a.responseJSON); err != nil {
			a.err = fmt.Errorf("%w: the response is not one of PostgreSQL: %w", execution.ErrDiverged, err)
		}
	}
	if a.err == nil && a.Tag == nil && a.Columns == nil {
		a.invent(w.a.statements.Parse(sql))
	}
	return a
}

// invent answers a statement whose outcome is known, and not what the server said.
func (a *answer) invent(st *sqltext.Statement) {
	tag := st.Verb
	switch st.Shape {
	case record.ShapeBegin, record.ShapeCommit, record.ShapeRollback:
		tag = st.Shape
	}
	a.Tag = &tag
	if tag == record.ShapeBegin {
		a.Status = statusWords['T']
	}
}

func (w *wire) count(cp *record.Checkpoint) {
	if r := w.replay(); r != nil && cp.Effect != record.EffectNone {
		r.mu.Lock()
		r.answered++
		r.mu.Unlock()
	}
}

// answerExecute answers the execution of a portal.
func (w *wire) answerExecute(op *operation, p *portal) {
	if w.refused != nil || w.skipping {
		return
	}
	a := w.answerOf(op, p.sql)
	w.show(a)
	data := w.release()
	if err := a.encodeAside(&data); err == nil && a.Columns != nil {
		data, err = a.encodeRows(data, &a.setJSON, p, p.described && w.virtual)
		if err != nil {
			a.err = err
		}
	}
	if a.Columns == nil && a.err == nil && p.described && w.virtual {
		data = encode(data, &pgproto3.NoData{})
	}
	data = a.encodeEnd(data, &a.setJSON)
	w.reply(data)
	if a.err != nil {
		w.answerError(a.err)
	}
}

// answerQuery answers a query of the simple protocol.
func (w *wire) answerQuery(op *operation) {
	if w.refused != nil {
		return
	}
	sql := ""
	if op != nil {
		sql = op.request.sql
	}
	a := w.answerOf(op, sql)
	w.show(a)
	var data []byte
	_ = a.encodeAside(&data)
	data = a.encodeCopy(data)
	for _, set := range append([]setJSON{a.setJSON}, a.Next...) {
		if set.Columns != nil {
			var err error
			if data, err = a.encodeRows(data, &set, nil, true); err != nil {
				a.err = err
				break
			}
		}
		data = a.encodeEnd(data, &set)
	}
	w.reply(data)
	if a.err != nil {
		w.answerError(a.err)
		w.skipping = false
	}
	w.reply(encode(nil, &pgproto3.ReadyForQuery{TxStatus: w.shownStatus()}))
}

// show remembers how the transaction stands after an answer.
func (w *wire) show(a answer) {
	if w.status = statusBytes[a.Status]; w.status == 'I' {
		w.status = 0
	}
}

func (w *wire) shownStatus() byte {
	if w.status == 0 {
		return 'I'
	}
	return w.status
}

func (w *wire) answerSync() {
	w.reply(w.release())
	w.skipping = false
	w.reply(encode(nil, &pgproto3.ReadyForQuery{TxStatus: w.shownStatus()}))
}

// answerError answers with an error of the server, or ends the connection with one of its own.
func (w *wire) answerError(err error) {
	w.skipping = true
	var e *pgconn.PgError
	if errors.As(err, &e) {
		w.reply(encode(nil, errorResponse(e)))
		return
	}
	w.fail(err)
}

func errorResponse(e *pgconn.PgError) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{
		Severity: e.Severity, SeverityUnlocalized: e.SeverityUnlocalized, Code: e.Code, Message: e.Message, Detail: e.Detail,
		Hint: e.Hint, Position: e.Position, InternalPosition: e.InternalPosition, InternalQuery: e.InternalQuery, Where: e.Where,
		SchemaName: e.SchemaName, TableName: e.TableName, ColumnName: e.ColumnName, DataTypeName: e.DataTypeName,
		ConstraintName: e.ConstraintName, File: e.File, Line: e.Line, Routine: e.Routine,
	}
}

func (a *answer) encodeAside(data *[]byte) error {
	for i := range a.Notices {
		*data = encode(*data, &a.Notices[i])
	}
	for _, s := range a.Settings {
		*data = encode(*data, &pgproto3.ParameterStatus{Name: s[0], Value: s[1]})
	}
	return a.err
}

// encodeRows appends rows in the formats that are asked for: those of the portal, or without one those they were recorded in.
func (a *answer) encodeRows(data []byte, s *setJSON, p *portal, describe bool) ([]byte, error) {
	fields, recorded := make([]pgproto3.FieldDescription, len(s.Columns)), make([]int16, len(s.Columns))
	for i, c := range s.Columns {
		fields[i], recorded[i] = c.field(), c.Format
		if p != nil {
			fields[i].Format = p.format(i)
		}
	}
	if describe {
		data = encode(data, &pgproto3.RowDescription{Fields: fields})
	}
	row := &pgproto3.DataRow{Values: make([][]byte, len(fields))}
	for _, cells := range s.Rows {
		if len(cells) != len(fields) {
			return data, fmt.Errorf("%w: a row has %d values for %d columns", execution.ErrDiverged, len(cells), len(fields))
		}
		for i, cell := range cells {
			var ok bool
			if row.Values[i], ok = decodeValue(cell, fields[i].DataTypeOID, recorded[i], fields[i].Format); !ok {
				return data, fmt.Errorf("%w: column %s is recorded in another format than it is asked for", execution.ErrDiverged, s.Columns[i].Name)
			}
		}
		data = encode(data, row)
	}
	if s.Truncated {
		return data, fmt.Errorf("%w: the record has only the first %d rows", execution.ErrDiverged, len(s.Rows))
	}
	return data, nil
}

func (a *answer) encodeEnd(data []byte, s *setJSON) []byte {
	switch {
	case s.Tag == nil:
		return data
	case *s.Tag == "":
		return encode(data, &pgproto3.EmptyQueryResponse{})
	}
	return encode(data, &pgproto3.CommandComplete{CommandTag: []byte(*s.Tag)})
}

// encodeCopy appends the data of COPY TO STDOUT.
func (a *answer) encodeCopy(data []byte) []byte {
	if a.Copy == nil {
		return data
	}
	format := byte(formatText)
	if a.Binary {
		format = formatBinary
	}
	data = encode(data, &pgproto3.CopyOutResponse{OverallFormat: format})
	for rest := a.Copy.Data; len(rest) > 0; {
		n := min(len(rest), 32<<10)
		data = encode(data, &pgproto3.CopyData{Data: rest[:n]})
		rest = rest[n:]
	}
	if a.Copy.Truncated && a.err == nil {
		a.err = fmt.Errorf("%w: the record has only the first %d bytes of a copy", execution.ErrDiverged, len(a.Copy.Data))
	}
	return encode(data, &pgproto3.CopyDone{})
}

// copiesIn takes the data of a COPY before it is answered: the data is part of what is asked. The server may also have refused it
// at once.
func (w *wire) copiesIn(sql string) bool {
	st := w.a.statements.Parse(sql)
	if !isCopyIn(st) || w.replay().refused[st.Text] {
		return false
	}
	w.copying = &operation{request: &request{sql: sql, copy: record.NewBodyWriter(max(w.a.rec.ExecutionIn(w.ctx).BodyLimit(), 1))}}
	w.reply(encode(nil, &pgproto3.CopyInResponse{}))
	return true
}

func (w *wire) finishCopyIn(op *operation) { w.answerQuery(w.start(op.request)) }

// notify gives the client a notification that came then, when it waits for one.
func (w *wire) notify() bool {
	r := w.replay()
	if r == nil || len(w.queue) > 0 || !w.started {
		return false
	}
	r.mu.Lock()
	left := r.notifications
	r.notifications = max(0, left-1)
	r.mu.Unlock()
	if left == 0 {
		return false
	}
	call := w.a.rec.Start(w.ctx, execution.Op{Boundary: boundary, Target: r.target, Shape: shapeNotification, Effect: record.EffectNone})
	var n notification
	if cp := call.Recorded(); cp == nil || json.Unmarshal(cp.Response.Data, &n) != nil {
		return false
	}
	w.out = encode(w.out, &pgproto3.NotificationResponse{PID: n.PID, Channel: n.Channel, Payload: n.Payload})
	return true
}

// marshal is JSON without escaping for HTML, which would hide text from the rules of redaction.
func marshal(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
