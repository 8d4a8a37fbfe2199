package audit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseSince reads a moment: a duration before now ("90m", "36h", "3d"), a time of
// today ("15:04"), a day ("2026-11-22"), both ("2026-11-22 15:04"), or RFC 3339.
func ParseSince(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	now = now.In(zone)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if t, err := time.ParseInLocation("15:04", text, zone); err == nil {
		return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, zone), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("cannot read the moment %q: want a duration such as 90m, a time such as 15:04, a day such as 2026-11-22, or both", text)
}
