// Package redact hides secrets in records before they leave the process: passwords, credentials, card numbers and whatever
// else its [Rules] say. What is hidden is replaced by a stand-in, so that the record can still be read, compared and replayed.
//
// # The data's way
//
//	payload (JSON) ──walk──► fields ──rules by name, path, column, key──► stand-in
//	                           │
//	                           └────► text ──JSON, form or URL inside? ──► walk that
//	                                    └──── detectors, name=value ─────► stand-in
//	then, over the whole execution: a value hidden in one place is replaced wherever it occurs again
//
// # Invariants
//
//	R1  Redacting is idempotent, whatever the key: a stand-in is recognised, and stays. So a replay, in which stand-ins flow
//	    through the program, sends the same redacted requests as were recorded.
//	R2  Within a [Session] a value has one stand-in, and two values have two, but for short numbers and masks.
//	R3  What nothing is hidden in is returned byte for byte; around what is hidden, bytes stay as well.
//	R4  JSON stays JSON, a number stays a number.
//
// # What can go wrong
//
// A secret in a field with an ordinary name, in a form that no detector knows, is not seen: flux redact test shows what would
// be hidden and what would not. Values shorter than 6 bytes are hidden where a rule says so, but not looked for elsewhere:
// they would be found in everything. Secrets inside of encrypted or compressed bodies are not seen.
package redact
