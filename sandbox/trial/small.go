package trial

import (
	"iter"
	"maps"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

func keysOf[M ~map[K]V, K comparable, V any](m M) iter.Seq[K] { return maps.Keys(m) }

func valuesOf[M ~map[K]V, K comparable, V any](m M) iter.Seq[V] { return maps.Values(m) }
