// Package bank is a small bank of two services that may be written in different languages. Accounts knows what is in each
// account, from its events; transfers moves money from one to another by commands to accounts. conformance/java/bank has
// the same two services in Java, on the official client of Flux Capacitor: any of the four works with any other through one
// Flux server, and one language goes on with the accounts of the other.
//
// That takes no more than agreeing on names. Types are called as Java calls its classes, payloads are JSON with the same
// members, and errors are [flux.Error], which Java knows as the class flux.Error.
package bank

import "github.com/flux-go/flux"

// Open opens an account. It is answered with the new balance.
type Open struct {
	flux.Command[Balance]
	Account string `json:"account" flux:"routing"`
	Owner   string `json:"owner"`
}

// Deposit puts an amount into an account. It is answered with the new balance.
type Deposit struct {
	flux.Command[Balance]
	Account string `json:"account" flux:"routing"`
	Amount  int64  `json:"amount"` // in cents, more than 0
}

// Withdraw takes an amount out of an account. It is answered with the new balance, or with [ErrNoFunds].
type Withdraw struct {
	flux.Command[Balance]
	Account string `json:"account" flux:"routing"`
	Amount  int64  `json:"amount"` // in cents, more than 0
}

// Transfer moves an amount from one account to another. It is answered with the balances of both.
type Transfer struct {
	flux.Command[Receipt]
	From   string `json:"from" flux:"routing"`
	To     string `json:"to"`
	Amount int64  `json:"amount"` // in cents, more than 0
}

// GetBalance asks for what is in an account.
type GetBalance struct {
	flux.Query[Balance]
	Account string `json:"account"`
}

// Balance is what is in an account.
type Balance struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"` // in cents
}

// Receipt tells what a transfer left in the accounts.
type Receipt struct {
	From Balance `json:"from"`
	To   Balance `json:"to"`
}

// Opened, Deposited and Withdrawn are the events of an account.
type (
	Opened struct {
		Account string `json:"account"`
		Owner   string `json:"owner"`
	}
	Deposited struct {
		Account string `json:"account"`
		Amount  int64  `json:"amount"`
	}
	Withdrawn struct {
		Account string `json:"account"`
		Amount  int64  `json:"amount"`
	}
)

// The errors that commands are answered with.
var (
	ErrNoAccount = &flux.Error{Code: "bank.no_account", Message: "no such account"}
	ErrNoFunds   = &flux.Error{Code: "bank.no_funds", Message: "not enough in the account"}
	ErrExists    = &flux.Error{Code: "bank.exists", Message: "the account is open already"}
	ErrAmount    = &flux.Error{Code: "bank.amount", Message: "the amount must be more than 0"}
)

// javaPackage is where the classes of these types are.
const javaPackage = "flux.conformance.bank."

func (Open) FluxType() string       { return javaPackage + "Open" }
func (Deposit) FluxType() string    { return javaPackage + "Deposit" }
func (Withdraw) FluxType() string   { return javaPackage + "Withdraw" }
func (Transfer) FluxType() string   { return javaPackage + "Transfer" }
func (GetBalance) FluxType() string { return javaPackage + "GetBalance" }
func (Balance) FluxType() string    { return javaPackage + "Balance" }
func (Receipt) FluxType() string    { return javaPackage + "Receipt" }
func (Opened) FluxType() string     { return javaPackage + "Opened" }
func (Deposited) FluxType() string  { return javaPackage + "Deposited" }
func (Withdrawn) FluxType() string  { return javaPackage + "Withdrawn" }
func (Account) FluxType() string    { return javaPackage + "Account" }
