package eventstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
)

// TestRelationsAgreeWithModel compares with what the protocol says: for each entity a map from aggregate to type that keeps
// the order of insertion.
func TestRelationsAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := open(t, engine.Options{FS: vfs.NewMem()})
		defer e.Close()
		m := relationModel{}
		relations := rapid.SliceOfN(rapid.Custom(drawRelation), 0, 3)
		t.Repeat(map[string]func(*rapid.T){
			"relate": func(t *rapid.T) {
				r := &Relate{Remove: relations.Draw(t, "remove"), Add: relations.Draw(t, "add")}
				propose(t, e, r)
				m.relate(r)
			},
			"repair": func(t *rapid.T) {
				aggregate := aggregates.Draw(t, "aggregate")
				ids := rapid.SliceOfNDistinct(entityIDs, 0, 3, rapid.ID).Draw(t, "entities")
				if err := New(e).Repair(t.Context(), ns, aggregate, "T", ids); err != nil {
					t.Fatal(err)
				}
				m.repair(aggregate, "T", ids)
			},
			"": func(t *rapid.T) { m.compare(t, e) },
		})
	})
}

var entityIDs = rapid.SampledFrom([]string{"x", "xy", "y"})

func drawRelation(t *rapid.T) Relation {
	return Relation{
		Entity:        entityIDs.Draw(t, "entity"),
		Aggregate:     aggregates.Draw(t, "aggregate"),
		AggregateType: rapid.SampledFrom([]string{"", "shop.User"}).Draw(t, "type"),
	}
}

// relationModel has the relations of each entity in their order.
type relationModel map[string][]Relation

func (m relationModel) remove(entity, aggregate string) {
	m[entity] = slices.DeleteFunc(m[entity], func(r Relation) bool { return r.Aggregate == aggregate })
}

func (m relationModel) add(r Relation) {
	i := slices.IndexFunc(m[r.Entity], func(o Relation) bool { return o.Aggregate == r.Aggregate })
	if i < 0 {
		m[r.Entity] = append(m[r.Entity], r)
	} else {
		m[r.Entity][i] = r
	}
}

func (m relationModel) relate(r *Relate) {
	for _, relation := range r.Remove {
		m.remove(relation.Entity, relation.Aggregate)
	}
	for _, relation := range r.Add {
		m.add(relation)
	}
}

func (m relationModel) repair(aggregate, aggregateType string, ids []string) {
	for entity := range m {
		m.remove(entity, aggregate)
	}
	for _, entity := range ids {
		m.add(Relation{entity, aggregate, aggregateType})
	}
}

func (m relationModel) compare(t *rapid.T, e *engine.Engine) {
	s := New(e)
	byAggregate := make(map[string][]string)
	for _, entity := range []string{"x", "xy", "y"} {
		got, err := s.Relations(ns, entity)
		if err != nil || !slices.Equal(got, m[entity]) {
			t.Fatalf("relations of %s are %v (%v), want %v", entity, got, err, m[entity])
		}
		for _, r := range got {
			byAggregate[r.Aggregate] = append(byAggregate[r.Aggregate], entity)
		}
	}
	for _, aggregate := range []string{"a", "ab", "b", "ü"} {
		got, err := s.Entities(ns, aggregate)
		if err != nil || !slices.Equal(got, byAggregate[aggregate]) {
			t.Fatalf("entities of %s are %v (%v), want %v", aggregate, got, err, byAggregate[aggregate])
		}
	}
	view := e.View()
	defer view.Close()
	if figures, err := view.Verify(t.Context(), []engine.Check{NewCheck()}, nil); err != nil || figures.Found > 0 {
		t.Fatalf("check finds %v (%v)", figures.Problems, err)
	}
}

// TestRepairIsWholeAmongOthers repairs relations to one of two sets, again and again, while others add to and remove from
// them. After the last repair exactly its set is there.
func TestRepairIsWholeAmongOthers(t *testing.T) {
	t.Parallel()
	e, s := setup(t)
	var others, repairs sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		others.Go(func() {
			r := Relation{Entity: fmt.Sprint("stray-", i), Aggregate: "a"}
			for {
				select {
				case <-stop:
					return
				default:
					propose(t, e, &Relate{Add: []Relation{r}})
					propose(t, e, &Relate{Remove: []Relation{r}})
				}
			}
		})
	}
	for range 2 {
		repairs.Go(func() {
			for range 20 {
				if err := s.Repair(t.Context(), ns, "a", "T", []string{"one", "two"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	repairs.Wait()
	close(stop)
	others.Wait()
	if err := s.Repair(t.Context(), ns, "a", "T", []string{"three"}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Entities(ns, "a"); err != nil || !slices.Equal(got, []string{"three"}) {
		t.Errorf("entities are %v (%v)", got, err)
	}
}

func TestRepairWithoutEntitiesRemovesTheAggregate(t *testing.T) {
	t.Parallel()
	e, s := setup(t)
	propose(t, e, &Relate{Add: []Relation{{"address-9", "user-1", "User"}, {"address-9", "user-2", "User"}}})
	if err := s.Repair(t.Context(), ns, "user-1", "User", nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.Relations(ns, "address-9")
	if want := []Relation{{"address-9", "user-2", "User"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("relations are %v (%v), want %v", got, err, want)
	}
}

func TestBadRelationsAreRefused(t *testing.T) {
	t.Parallel()
	e, s := setup(t)
	long := strings.Repeat("x", MaxIDLen+1)
	for _, r := range []Relation{{"", "a", ""}, {"e", "", ""}, {"e\x00", "a", ""}, {"e", long, ""}, {"e", "a", long}} {
		good := Relation{"good", "good", ""}
		if err := commit(t, e, &Relate{Add: []Relation{good, r}}); !errors.Is(err, ErrBadID) {
			t.Errorf("relation %.40v: %v, want ErrBadID", r, err)
		}
	}
	if err := s.Repair(t.Context(), ns, "a", "", []string{"good", ""}); !errors.Is(err, ErrBadID) {
		t.Errorf("repair with an empty id: %v, want ErrBadID", err)
	}
	if got, err := s.Relations(ns, "good"); err != nil || len(got) > 0 {
		t.Errorf("refused transactions left %v (%v)", got, err)
	}
}
