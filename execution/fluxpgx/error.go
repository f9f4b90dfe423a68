package fluxpgx

import (
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flux-go/flux/execution/fault"
)

// ErrorKind takes errors of PostgreSQL apart and rebuilds them as *pgconn.PgError, for execution.SQLOptions.Errors when pgx is
// used through database/sql.
func ErrorKind() fault.Kind {
	return fault.Kind{
		Name: "pgconn.PgError",
		Of: func(err error) (any, bool) {
			e, ok := err.(*pgconn.PgError)
			return e, ok
		},
		Rebuild: func(fields []byte, _ []error) error {
			e := new(pgconn.PgError)
			if json.Unmarshal(fields, e) != nil {
				return nil
			}
			return e
		},
	}
}

// serverError returns the error of the server in a chain, nil when there is none.
func serverError(err error) *pgconn.PgError {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e
	}
	return nil
}
