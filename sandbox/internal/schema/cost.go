package schema

import "fmt"

// state is the progress of a node's count.
type state byte

const (
	waiting state = iota
	counting
	counted
)

// countCost counts the schemas that one value must meet, references followed. "allOf"
// with two references to an "allOf" with two references makes four, and thirty such
// steps make a billion. A schema that refers to itself for the same value has no end:
// the library would recurse until the stack is full.
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

// endless is the total of a schema that refers to itself.
const endless = 1 << 40

// countTotal counts the schemas of the tree in which each reference is replaced by its
// target. Each of them is checked at most once against any part of a value. The total
// is endless if a schema refers to itself for parts of a value.
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

// work estimates the bytes that a check reads: the check of a value against schemas,
// each as many times as given. A schema that refers to itself twice for one member is
// checked 2^n times at depth n. work stops counting beyond maxWork.
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

// spread adds the schemas that a value must meet if it must meet n.
func (n *node) spread(all map[*node]int, times int) {
	all[n] = min(all[n]+times, maxWork+1)
	for _, sub := range n.same {
		sub.spread(all, times)
	}
}
