// Package fluxpgx records PostgreSQL through pgx.
package fluxpgx
