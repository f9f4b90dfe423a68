package auto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// errSetting is returned for a variable of the environment whose value cannot be.
var errSetting = errors.New("bad setting")

// configure reads the environment:
//
//	FLUX_URL, FLUX_TOKEN, FLUX_NAMESPACE   the server that gets the records
//	FLUX_DIR                               where records wait for it, and journals are
//	FLUX_SERVICE                           defaults to the name of the program's file
//	FLUX_ENVIRONMENT, FLUX_VERSION
//	FLUX_KEEP                              as "all", or "slower=500ms,sample=0.01,first=3", any of them
//	FLUX_JOURNAL                           "all": each write is on disk before it is sent; needs FLUX_DIR
//	FLUX_REPLAY                            set by flux replay and flux resume
//
// Nothing is wanted when neither FLUX_URL nor FLUX_DIR nor FLUX_REPLAY is set.
func configure(lookup func(string) (string, bool)) (config execution.Config, wanted bool, err error) {
	get := func(name string) string { value, _ := lookup(name); return value }
	config = execution.Config{
		Service: get("FLUX_SERVICE"), Environment: get("FLUX_ENVIRONMENT"), Version: get("FLUX_VERSION"),
		URL: get("FLUX_URL"), Token: get("FLUX_TOKEN"), Namespace: get("FLUX_NAMESPACE"), Dir: get("FLUX_DIR"),
	}
	if config.URL == "" && config.Dir == "" && get("FLUX_REPLAY") == "" {
		return config, false, nil
	}
	if config.Service == "" {
		config.Service = strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	}
	if config.Keep, err = parseKeep(get("FLUX_KEEP")); err != nil {
		return config, true, err
	}
	switch journal := get("FLUX_JOURNAL"); journal {
	case "":
	case "all":
		config.Journal = func(record.Trigger) bool { return true }
	default:
		err = fmt.Errorf("%w: FLUX_JOURNAL is %q, use all", errSetting, journal)
	}
	return config, true, err
}

// parseKeep reads rules as "slower=500ms,sample=0.01". Those it does not name have their defaults.
func parseKeep(rules string) (keep execution.Keep, err error) {
	if rules == "" {
		return keep, nil
	}
	for rule := range strings.SplitSeq(rules, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(rule), "=")
		switch name {
		case "all":
			keep.All = true
		case "slower":
			keep.Slower, err = time.ParseDuration(value)
		case "sample":
			keep.Sample, err = strconv.ParseFloat(value, 64)
		case "first":
			keep.First, err = strconv.Atoi(value)
		default:
			err = errors.New("use all, slower, sample or first")
		}
		if err != nil {
			return keep, fmt.Errorf("%w: FLUX_KEEP has %q: %w", errSetting, rule, err)
		}
	}
	return keep, nil
}
