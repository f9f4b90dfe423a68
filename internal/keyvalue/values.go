package keyvalue

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Values reads the values of an engine. Safe for concurrent use.
type Values struct{ engine *engine.Engine }

// New returns the reader of the engine's values.
func New(e *engine.Engine) *Values { return &Values{e} }

// Get returns the value of a key, and whether there is one. The caller owns it.
func (v *Values) Get(ns message.Namespace, key string) (Value, bool, error) {
	r := v.Reader(ns)
	defer r.Close()
	return r.Get(key)
}

// GetAll returns the values of several keys as they were at one moment, in the order of the keys; nil where there is none.
func (v *Values) GetAll(ns message.Namespace, keys []string) ([]*Value, error) {
	r := v.Reader(ns)
	defer r.Close()
	all := make([]*Value, len(keys))
	for i, key := range keys {
		value, ok, err := r.Get(key)
		if err != nil {
			return nil, err
		}
		if ok {
			all[i] = &value
		}
	}
	return all, nil
}

// Reader reads values of a namespace as they were at one moment. It is for one goroutine, and must be closed soon: what is
// replaced meanwhile stays on disk.
type Reader struct {
	view   *engine.View
	key    []byte
	prefix int // bytes of key that all keys begin with
}

// Reader returns a reader of what is there now.
func (v *Values) Reader(ns message.Namespace) *Reader {
	prefix := valueKey(ns, "")
	return &Reader{view: v.engine.View(), key: prefix, prefix: len(prefix)}
}

// Get returns the value of a key, and whether there is one. The caller owns it.
func (r *Reader) Get(key string) (Value, bool, error) {
	r.key = append(r.key[:r.prefix], key...)
	raw, err := r.view.Get(r.key)
	if err != nil || raw == nil {
		return Value{}, false, err
	}
	value, err := decodeValue(raw)
	if err != nil {
		return Value{}, false, fmt.Errorf("key %q: %w", key, err)
	}
	return value, true, nil
}

// Close ends the reading.
func (r *Reader) Close() { r.view.Close() }

// Item is a value with its key.
type Item struct {
	Key   string
	Value Value
}

// Limit bounds a list.
type Limit struct {
	// Items is the number after which no further item is added.
	Items int
	// Bytes is the size of keys and data after which no further item is added.
	Bytes int
}

// Page is a part of a list.
type Page struct {
	Items []Item
	// More says that there are keys after those of the page.
	More bool
}

// List returns values whose keys have a prefix and come after a key, in the order of the bytes of their keys. Empty means all
// prefixes, and the first key. It returns at least one item if there is any, and further ones until a bound of the limit is
// reached.
func (v *Values) List(ns message.Namespace, prefix, after string, limit Limit) (Page, error) {
	start, end := valueKey(ns, prefix), engine.PrefixEnd(valueKey(ns, prefix))
	if next := append(valueKey(ns, after), 0); after != "" && bytes.Compare(next, start) > 0 {
		start = next
	}
	if bytes.Compare(start, end) >= 0 {
		return Page{}, nil
	}
	view := v.engine.View()
	defer view.Close()
	it, err := view.Scan(start, end)
	if err != nil {
		return Page{}, err
	}
	page, err := readPage(it, limit)
	return page, errors.Join(err, it.Close())
}

func readPage(it *engine.Iterator, limit Limit) (page Page, err error) {
	for size := 0; it.Next(); {
		if len(page.Items) > 0 && (len(page.Items) >= limit.Items || size >= limit.Bytes) {
			page.More = true
			break
		}
		item, err := itemAt(it)
		if err != nil {
			return Page{}, err
		}
		page.Items = append(page.Items, item)
		size += len(item.Key) + len(item.Value.Data)
	}
	return page, nil
}

func itemAt(it *engine.Iterator) (Item, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return Item{}, err
	}
	raw, err := it.Value()
	if err != nil {
		return Item{}, err
	}
	value, err := decodeValue(bytes.Clone(raw))
	if err != nil {
		return Item{}, fmt.Errorf("%s: %w", key, err)
	}
	return Item{key.Rest, value}, nil
}
