package host

import "strings"

// Installs is what packages of one kind are installed with on this machine.
type Installs struct {
	Kind  string   // "npm", "PyPI"
	With  []string // the programs that were found, absolute
	Lacks []string // those that were not, by the names that people call them
	// Manager is the machine's own package manager, such as "apt-get"; "" where none is known.
	Manager string
	// Untried says why nobody knows the rest, "" where all is known.
	Untried string
}

// Managers are the package managers that a line can be written for, with its beginning.
var Managers = map[string]string{"apt-get": "sudo apt-get install -y", "dnf": "sudo dnf install -y", "pacman": "sudo pacman -S"}

// packageOf is what package managers call a program. What is not here has its own name.
var packageOf = map[string]map[string]string{
	"apt-get": {"node": "nodejs", "pip": "python3-pip"},
	"dnf":     {"node": "nodejs", "pip": "python3-pip"},
	"pacman":  {"node": "nodejs", "pip": "python-pip", "python3": "python"},
}

// installsCheck says whether packages of a kind can be installed. Nothing else depends on it.
func installsCheck(i Installs) Check {
	c := Check{ID: strings.ToLower(i.Kind), Name: i.Kind + " packages", State: OK, Detail: strings.Join(i.With, ", ")}
	if len(i.Lacks) == 0 {
		if i.Untried != "" {
			c.State, c.Consequence = Untold, i.Untried
		}
		return c
	}
	c.State = Limited // what is missing keeps everything from starting
	c.Detail = strings.TrimPrefix(c.Detail+"; not found: "+strings.Join(i.Lacks, ", "), "; ")
	c.Consequence = "no server of such a package can be installed; all others run"
	if begin, known := Managers[i.Manager]; known {
		for _, name := range i.Lacks {
			if other := packageOf[i.Manager][name]; other != "" {
				name = other
			}
			begin += " " + name
		}
		c.Fix = []string{begin}
	}
	return c
}
