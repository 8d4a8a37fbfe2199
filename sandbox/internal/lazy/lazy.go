// Package lazy puts off to its first use what is not needed at every start: a start
// executes this binary up to four times, and most of them look at no package and
// search for no program.
package lazy

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression that is compiled when it is first used. It panics
// then if the text does not compile.
func Pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
