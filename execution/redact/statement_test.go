package redact

import (
	"slices"
	"testing"
)

func TestParametersAreOfColumns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text    string
		tables  []string
		columns []string
	}{
		{"SELECT * FROM users WHERE email = $1 AND age > $2", []string{"users"}, []string{"email", "age"}},
		{"select u.id from app.users u where lower(u.email) = lower($1)", []string{"users"}, []string{"email"}},
		{"INSERT INTO users (id, email, at) VALUES (?, ?, now())", []string{"users"}, []string{"id", "email"}},
		{"INSERT INTO users(a,b) VALUES ($1,$2),($3,coalesce($4,$1)) ON CONFLICT (a) DO UPDATE SET b = $5", []string{"users", "SET"}, []string{"a", "b", "a", "b", "b"}},
		{`UPDATE "app"."users" SET "e-mail" = :mail, state='a''b' WHERE id IN (:a, :b)`, []string{"users"}, []string{"e-mail", "id", "id"}},
		{"DELETE FROM a USING b WHERE a.x = b.y AND token=@p1 -- token = $7\n", []string{"a"}, []string{"token"}},
		{"SELECT $1::text, x /* y = ? */ FROM t WHERE name ILIKE $2", []string{"t"}, []string{"", "name"}},
		{"SELECT 1 FROM a JOIN b ON a.id = b.id WHERE b.card BETWEEN ? AND ?", []string{"a", "b"}, []string{"card", ""}},
		{"SELECT 'it''s ?' WHERE a = ?", nil, []string{"a"}},
		{"'unfinished", nil, nil},
		{"$0 $99999999999 $ : @ ? \"", nil, []string{""}},
	}
	for _, test := range tests {
		got := parseStatement(test.text)
		if test.tables = slices.DeleteFunc(test.tables, func(name string) bool { return name == "SET" }); !slices.Equal(got.tables, test.tables) || !slices.Equal(got.columns, test.columns) {
			t.Errorf("%s\ngot tables %q and columns %q, want %q and %q", test.text, got.tables, got.columns, test.tables, test.columns)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	way := []pathPart{{name: []byte("items")}, {index: 1}, {name: []byte("card no")}}
	for text, want := range map[string]bool{
		"$.items[1]['card no']": true, "$.items[*].*": true, "$..['card no']": true, `$["items"]..*`: true, "$..items[1]..*": true,
		"$.items[0]['card no']": false, "$.items": false, "$.Items[1]['card no']": false, "$..items": false, "$[0][1].*": false,
	} {
		path, err := compilePath(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := path.matches(way); got != want {
			t.Errorf("%s matches %s: %v, want %v", text, wayText(way), got, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"password", "Password", true},
		{"api-key", "apiKey", true},
		{"*_SECRET", "APP_SECRET", true},
		{"*_SECRET", "SECRETS", false},
		{"a*b*c", "a1b2c", true},
		{"a*b*c", "ac", false},
		{"*", "", true},
		{"ab*b", "ab", false},
		{"/^(ssn|iban)$/", "IBAN", true},
		{"/^(ssn|iban)$/", "ibans", false},
	} {
		p, err := compilePattern(test.pattern, foldName)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.matches(test.name, foldName(test.name)); got != test.want {
			t.Errorf("%s matches %s: %v, want %v", test.pattern, test.name, got, test.want)
		}
	}
}
