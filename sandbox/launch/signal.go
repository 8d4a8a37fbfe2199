package launch

import (
	"context"
	"strings"
	"syscall"
)

// SignalOf is the signal that ended a context of signal.NotifyContext, which
// tells it by its words alone.
func SignalOf(ctx context.Context) syscall.Signal {
	words := context.Cause(ctx).Error()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		if strings.HasPrefix(words, s.String()) {
			return s
		}
	}
	return syscall.SIGINT
}
