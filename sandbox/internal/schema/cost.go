package schema

import "fmt"

// state is how far the count of a node is.
type state byte

const (
	waiting state = iota
	counting
	counted
)

// countCost works out the schemas that one value must meet, references followed.
// "allOf" of two references to an "allOf" of two references is four, and thirty
// such steps are a billion. A schema that leads back to itself for the same value
// has no end, and the library would look for it until the stack is full.
func (n *node) countCost() error {
	switch n.state {
	case counted:
		return nil
	case counting:
		return fmt.Errorf("%s refers to itself for the same value", place(n.at))
	}
	n.state, n.cost = counting, 1
	for _, sub := range n.same {
		if err := sub.countCost(); err != nil {
			return err
		}
		n.cost += sub.cost
		if n.cost > maxCost {
			return fmt.Errorf("%s combines too many schemas: more than %d for one value", place(n.at), maxCost)
		}
	}
	n.state = counted
	return nil
}

// endless is the total of a schema that leads back to itself.
const endless = 1 << 40

// countTotal works out the schemas of a tree in which each reference is replaced
// by what it leads to: each is checked against any part of a value once at most.
// It is endless where a schema leads back to itself for parts of a value.
func (n *node) countTotal(open map[*node]bool) int {
	if open[n] {
		return endless
	}
	if n.total > 0 {
		return n.total
	}
	open[n] = true
	total := n.weight
	add := func(subs []*node) {
		for _, sub := range subs {
			total = min(total+sub.countTotal(open), endless)
		}
	}
	add(n.same)
	add(n.rest)
	add(n.each)
	for _, subs := range n.member {
		add(subs)
	}
	delete(open, n)
	n.total = total
	return total
}

// work counts what the check of a value against schemas, each so many times,
// would read, in bytes, about: a schema that leads back to itself twice for one
// member is checked 2^n times at depth n. It stops counting beyond maxWork.
func work(nodes map[*node]int, v any) int {
	all := map[*node]int{}
	for n, times := range nodes {
		n.spread(all, times)
	}
	times := 0
	for n, t := range all {
		times = min(times+t*n.weight, maxWork+1)
	}
	done := min(times, maxWork)*8 + 1
	each := func(v any, key string, named bool) {
		if done > maxWork {
			return
		}
		below := map[*node]int{}
		add := func(subs []*node, t int) {
			for _, sub := range subs {
				below[sub] = min(below[sub]+t, maxWork+1)
			}
		}
		for n, t := range all {
			if subs, ok := n.member[key]; ok && named {
				add(subs, t)
			} else if named {
				add(n.rest, t)
			}
			add(n.each, t)
		}
		if len(below) > 0 {
			done += work(below, v)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for key, part := range v {
			each(part, key, true)
		}
	case []any:
		for _, part := range v {
			each(part, "", false)
		}
	case string:
		done += min(times, maxWork) * len(v)
	}
	return done
}

// spread adds the schemas that a value must meet where it must meet n.
func (n *node) spread(all map[*node]int, times int) {
	all[n] = min(all[n]+times, maxWork+1)
	for _, sub := range n.same {
		sub.spread(all, times)
	}
}
