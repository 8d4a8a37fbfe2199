package clients

import (
	"strings"
	"testing"
)

// A person who wrote ${HOME}/notes must see the folder that it means.
func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) { return "/home/ada", name == "HOME" }
	got := Expand([]string{"${HOME}/a", "${env:HOME}/b", "${NONE:-/c}", "${NONE}", "${userHome}/d", "~/e", "a~/f", "${input:x}", "$HOME"}, "/home/ada", lookup)
	if want := "/home/ada/a /home/ada/b /c ${NONE} /home/ada/d /home/ada/e a~/f ${input:x} $HOME"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
}
