package sqltext

import (
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// effectOf says what statements can do. Statements that only read are reads, also when they lock rows: locks end with the
// transaction. One that calls a function which is not known to be harmless may do anything: its effect is unknown, which counts
// as a write where that matters.
func effectOf(tokens []token) record.Effect {
	effect := record.EffectNone
	for len(tokens) > 0 {
		end := 0
		for end < len(tokens) && !tokens[end].is(";") {
			end++
		}
		effect = worst(effect, effectOfOne(tokens[:end]))
		tokens = tokens[min(end+1, len(tokens)):]
	}
	return effect
}

func worst(a, b record.Effect) record.Effect {
	for _, e := range []record.Effect{record.EffectWrite, record.EffectUnknown, record.EffectRead} {
		if a == e || b == e {
			return e
		}
	}
	return record.EffectNone
}

func effectOfOne(tokens []token) record.Effect {
	switch verb := verbOf(tokens); verb {
	case "", "SAVEPOINT", "RELEASE", "ROLLBACK", "ABORT", "BEGIN", "START":
		return record.EffectNone
	case "SHOW", "DESCRIBE", "DESC", "SET", "RESET", "LISTEN", "UNLISTEN", "LOCK", "CLOSE", "FETCH", "MOVE", "DEALLOCATE", "DISCARD", "USE":
		return record.EffectRead
	case "PRAGMA":
		if containsAny(tokens, "=") {
			return record.EffectWrite
		}
		return record.EffectRead
	case "EXPLAIN":
		if !containsAny(tokens, "ANALYZE", "ANALYSE") {
			return record.EffectRead
		}
		return effectOfQuery(tokens)
	case "COPY":
		if containsAny(tokens, "FROM") && !containsAny(tokens, "TO") {
			return record.EffectWrite
		}
		return effectOfQuery(tokens)
	case "SELECT", "WITH", "TABLE", "VALUES", "DECLARE":
		return effectOfQuery(tokens)
	}
	return record.EffectWrite
}

// effectOfQuery says what a statement does that reads unless something in it writes.
func effectOfQuery(tokens []token) record.Effect {
	effect := record.EffectRead
	for i, t := range tokens {
		switch {
		case t.kind != word:
		case t.is("INSERT"), t.is("DELETE"), t.is("MERGE"), t.is("INTO"), t.is("UPDATE") && !isLock(tokens[:i]):
			return record.EffectWrite
		case isCall(tokens, i) && !isHarmless(tokens, i):
			effect = record.EffectUnknown
		}
	}
	return effect
}

// isLock says that UPDATE comes now as in FOR UPDATE or FOR NO KEY UPDATE.
func isLock(before []token) bool {
	n := len(before)
	return n > 0 && before[n-1].is("FOR") || n > 1 && before[n-1].is("KEY") && before[n-2].is("NO")
}

// isCall says that the word at i calls a function. Names of columns behind an alias look like it.
func isCall(tokens []token, i int) bool {
	if i+1 >= len(tokens) || tokens[i+1].text != "(" {
		return false
	}
	return i == 0 || !tokens[i-1].is("AS") && !tokens[i-1].is("WITH") && !tokens[i-1].is("RECURSIVE")
}

func isHarmless(tokens []token, i int) bool {
	if i >= 2 && tokens[i-1].text == "." && !tokens[i-2].is("pg_catalog") {
		return false
	}
	return harmless[strings.ToLower(tokens[i].text)]
}

// harmless are keywords and types that may stand before a parenthesis, and functions that only compute or read.
var harmless = setOf(`
	select from where and or not in exists any all some on as over filter using case when then else end union except intersect
	between like ilike is distinct by having limit offset join lateral values row array interval partition within group with
	materialized cast explain analyze verbose copy to
	int integer bigint smallint numeric decimal float real double char character varchar varying nchar bit time timestamp
	timestamptz date text varbinary binary datetime
	count sum avg min max bool_and bool_or every array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg
	group_concat total stddev stddev_pop stddev_samp variance var_pop var_samp percentile_cont percentile_disc mode corr
	row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
	coalesce nullif greatest least ifnull nvl iif if isnull
	abs ceil ceiling floor round trunc truncate sign sqrt power pow exp ln log log10 mod div random rand pi degrees radians sin
	cos tan asin acos atan atan2 width_bucket gcd lcm
	lower upper initcap length char_length character_length octet_length bit_length trim ltrim rtrim btrim substr substring
	left right lpad rpad replace translate reverse repeat position strpos instr split_part concat concat_ws format ascii chr
	char hex unhex quote quote_literal quote_ident quote_nullable encode decode md5 sha224 sha256 sha384 sha512 sha1 digest
	to_char to_date to_number to_timestamp regexp_replace regexp_match regexp_matches regexp_split_to_array
	regexp_split_to_table regexp_like regexp_count overlay starts_with printf soundex similarity word_similarity unaccent
	now current_timestamp current_date current_time localtime localtimestamp clock_timestamp statement_timestamp
	transaction_timestamp date_trunc date_part extract age make_date make_time make_timestamp make_timestamptz make_interval
	date_add date_sub datediff date_format strftime julianday unixepoch datetime utc_timestamp getdate sysdatetime year month day
	hour minute second justify_days justify_hours justify_interval isfinite timezone
	json json_build_object json_build_array jsonb_build_object jsonb_build_array to_json to_jsonb row_to_json json_extract
	json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text json_array_length jsonb_array_length
	json_array_elements jsonb_array_elements json_array_elements_text jsonb_array_elements_text json_each jsonb_each
	json_each_text jsonb_each_text json_object_keys jsonb_object_keys json_typeof jsonb_typeof json_to_record jsonb_to_record
	json_to_recordset jsonb_to_recordset json_populate_record jsonb_populate_record jsonb_set jsonb_insert jsonb_pretty
	jsonb_strip_nulls json_strip_nulls jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_path_exists
	jsonb_path_match json_object json_array json_valid json_type json_quote json_unquote json_contains json_query json_value
	array_length array_append array_prepend array_cat array_remove array_replace array_position array_positions array_to_string
	string_to_array string_to_table array_upper array_lower array_ndims cardinality unnest generate_series generate_subscripts
	lower_inc upper_inc isempty range_merge int4range int8range numrange tsrange tstzrange daterange
	to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_rank ts_rank_cd ts_headline setweight
	gen_random_uuid uuid_generate_v4 uuidv4 uuidv7 newid uuid typeof pg_typeof version current_database current_schema
	current_schemas current_user session_user user database schema current_setting pg_backend_pid txid_current
	pg_current_xact_id inet_server_addr inet_server_port has_table_privilege has_schema_privilege obj_description
	col_description pg_get_expr pg_get_constraintdef pg_get_indexdef pg_get_viewdef pg_table_is_visible pg_size_pretty
	pg_relation_size pg_total_relation_size pg_database_size pg_table_size to_regclass to_regtype format_type
	num_nulls num_nonnulls host network masklen family set_masklen broadcast netmask abbrev
	last_insert_rowid changes total_changes last_insert_id row_count found_rows scope_identity
	st_distance st_dwithin st_contains st_within st_intersects st_makepoint st_setsrid st_asgeojson st_astext st_x st_y
`)

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}
