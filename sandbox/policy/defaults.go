package policy

import "time"

// The defaults of a profile's settings.
const (
	DefaultMemory    Size = 2 << 30   // several times the needs of a busy Node server
	DefaultProcesses      = 256       // Node alone starts about a dozen threads
	DefaultOpenFiles      = 4096      // enough for a file watcher on a middling project
	DefaultFileSize  Size = 1 << 30   // a runaway log ends before the disk does
	DefaultTmp       Size = 128 << 20 // it counts against memory
	DefaultTmpFiles       = 16384     // a tmpfs without a bound on inodes fills kernel memory

	DefaultConnections      = 2048     // each costs the launcher some 15 KB
	DefaultPerSecond        = 5000     // more than one processor can open
	DefaultMaxLine     Size = 64 << 20 // tools/list of real servers reaches 1 MB, a page as base64 more

	DefaultGrace  = 2 * time.Second        // most servers exit at once when their stdin closes
	DefaultFinish = 5 * time.Minute        // longer than clients wait for an answer
	DefaultRush   = 250 * time.Millisecond // Claude Code kills half a second after its first signal
	DefaultMinAge = 3 * 24 * time.Hour     // most packages that turn out malicious are taken down sooner

	DefaultPins     = PinFirstUse
	DefaultFindings = FindingWarn
	DefaultResults  = TextPass
)

// The values of log.on-error: the reaction to a log that cannot be written.
const (
	OnErrorStop     = "stop"
	OnErrorContinue = "continue" // the default
)

// Override is the text with which a profile insists on a socket that is the host
// itself, such as Docker's.
const Override = "yes, this is the host"

// DefaultLayers are the layers that a start requires, unless a profile says otherwise.
func DefaultLayers() []Layer {
	return []Layer{LayerNamespaces, LayerLandlock, LayerSeccomp, LayerMediation}
}

// Closed is the policy of a server without a profile: no network, no file of the
// user's, no environment, the default limits, every layer required.
func Closed(name string) Policy {
	return Policy{
		Name:   name,
		Tools:  Tools{Pins: DefaultPins, Findings: DefaultFindings, Results: DefaultResults},
		Client: everyRequest(),
		Limits: Limits{
			Memory:    DefaultMemory,
			Processes: DefaultProcesses,
			OpenFiles: DefaultOpenFiles,
			FileSize:  DefaultFileSize,
			Tmp:       DefaultTmp,
			TmpFiles:  DefaultTmpFiles,

			Connections: DefaultConnections,
			PerSecond:   DefaultPerSecond,
		},
		Wire:    Wire{MaxLine: DefaultMaxLine, Finish: DefaultFinish, Grace: DefaultGrace, Rush: DefaultRush},
		Log:     Log{OnError: OnErrorContinue},
		Install: Install{MinAge: DefaultMinAge},
		Require: Require{Layers: DefaultLayers()},
	}
}
