package flights

import (
	"context"
	"time"

	"github.com/flux-go/flux"
)

// A Service works until it is done or ctx ends.
type Service func(ctx context.Context, app *flux.App) error

// Services returns the services by their names. The publisher takes the time over.
func Services(over time.Duration) map[string]Service {
	return map[string]Service{
		"publisher": Publisher(over),
		"delays":    Delays,
		"rebooking": Rebooking,
	}
}
