package execution

import (
	"database/sql/driver"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
)

// nameTarget returns the address and the database that the name of a data source says, without credentials and options.
func nameTarget(name string) string {
	if u, err := url.Parse(name); err == nil && u.Scheme != "" && (u.Host != "" || u.Path != "") {
		return u.Scheme + "://" + u.Host + u.Path
	}
	if found := mysqlName.FindStringSubmatch(name); found != nil {
		return found[1]
	}
	if strings.Contains(name, "=") {
		return fieldsTarget(name)
	}
	name, _, _ = strings.Cut(name, "?")
	return name
}

// mysqlName is user:password@protocol(address)/database?options.
var mysqlName = regexp.MustCompile(`^(?:.*@)?([a-z]*\([^)]*\)/[^?]*)`)

// fieldsTarget reads names of the form "host=a port=5432 dbname=b".
func fieldsTarget(name string) string {
	var host, port, database string
	for field := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == ' ' || r == ';' }) {
		key, value, _ := strings.Cut(field, "=")
		switch strings.ToLower(key) {
		case "host", "server", "hostaddr":
			host = value
		case "port":
			port = ":" + value
		case "dbname", "database":
			database = "/" + value
		}
	}
	return host + port + database
}

// connectorTarget returns what the fields of a connector say about where it connects to, "" when they say nothing.
func connectorTarget(c driver.Connector) string {
	if named, ok := c.(nameConnector); ok {
		return nameTarget(named.name)
	}
	var t targetFields
	t.look(reflect.ValueOf(c), 4)
	switch {
	case t.address != "":
		return t.address + slash(t.database)
	case t.host != "" && t.port != "":
		return t.host + ":" + t.port + slash(t.database)
	case t.host != "":
		return t.host + slash(t.database)
	case t.name != "":
		return nameTarget(t.name)
	}
	return fmt.Sprintf("%T", c.Driver())
}

func slash(database string) string {
	if database == "" {
		return ""
	}
	return "/" + database
}

// targetFields are fields by which connectors of drivers hold their configuration. The first of each kind counts.
type targetFields struct{ host, port, address, database, name string }

// look goes through a struct and what it holds. Fields that are not exported can be read, too.
func (t *targetFields) look(v reflect.Value, depth int) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || depth == 0 {
		return
	}
	for i := range v.NumField() {
		field := v.Field(i)
		switch strings.ToLower(v.Type().Field(i).Name) {
		case "host":
			take(&t.host, field)
		case "port":
			take(&t.port, field)
		case "addr", "address":
			take(&t.address, field)
		case "database", "dbname":
			take(&t.database, field)
		case "dsn", "name":
			take(&t.name, field)
		case "config", "cfg", "connconfig", "connector":
			t.look(field, depth-1)
		}
	}
}

func take(into *string, v reflect.Value) {
	switch {
	case *into != "":
	case v.Kind() == reflect.String:
		*into = v.String()
	case v.CanUint() && v.Uint() > 0:
		*into = fmt.Sprint(v.Uint())
	case v.CanInt() && v.Int() > 0:
		*into = fmt.Sprint(v.Int())
	}
}
