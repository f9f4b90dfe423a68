package redact

var anyPlace = []string{"any"}

// defaults are the rules that apply after those of the user. Passwords in connection strings are hidden in any case: no rule
// can keep them.
var defaults = []Rule{
	{
		Where: anyPlace,
		Match: []string{
			"authorization", "proxy-authorization", "cookie", "set-cookie",
			"x-api-key", "apikey", "api-token", "x-auth-token", "x-amz-security-token", "x-csrf-token", "x-xsrf-token",
			"*password*", "*passwd*", "pwd", "passphrase", "passcode", "*secret", "*secret-key", "*client-secret*",
			"token", "access-token", "refresh-token", "id-token", "auth-token", "session-token", "bearer-token", "csrf-token",
			"reset-token", "security-token", "*access-key", "*private-key", "*credential", "*credentials",
			"session-id", "sessionid", "signature", "cvv", "cvv2", "cvc", "cvc2", "card-cvc", "card-cvv",
		},
		Do: Action{Name: Hash},
	},
	{
		Where: []string{"env"},
		Match: []string{"*_SECRET*", "*SECRET", "*_TOKEN", "*_KEY", "*PASSWORD*", "*PASSWD*", "*_PASS", "*_PWD", "*CREDENTIAL*"},
		Do:    Action{Name: Hash},
	},
	{Where: anyPlace, Match: []string{"card-number", "cardnumber", "pan"}, Do: Action{Name: Token}},
	{Where: anyPlace, Detect: []string{"card"}, Do: Action{Name: Token}},
	{Where: anyPlace, Detect: []string{"jwt", "aws_key", "api_key", "pem", "bearer", "entropy"}, Do: Action{Name: Hash}},
}

// connectionRule hides passwords in connection strings. It is no part of any list, so that no rule can come before it.
var connectionRule = &compiled{name: "connection strings, always", do: Action{Name: Hash}}
