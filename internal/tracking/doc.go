// Package tracking lets consumers follow logs.
package tracking
