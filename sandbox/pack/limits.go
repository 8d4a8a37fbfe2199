package pack

import "time"

// Limits bound the contents of a package. A zero field takes the default of
// DefaultLimits; there is no way to have no limit.
type Limits struct {
	Files       int   // entries of one tree
	Bytes       int64 // of one tree
	Archives    int   // archives of one install
	Archive     int64 // bytes of one archive as it is fetched
	Fetched     int64 // bytes of one install as they are fetched
	Unpacked    int64 // bytes of one archive, unpacked
	ArchiveList int   // entries of one archive
	Path        int   // bytes of one path within a tree
	// Tool is the time of one run of npm, pip or uv: one that hangs ends.
	Tool time.Duration
}

// DefaultLimits fit the largest MCP servers seen with room to spare.
func DefaultLimits() Limits {
	return Limits{Files: 200_000, Bytes: 4 << 30, Archives: 5_000, Archive: 512 << 20, Fetched: 2 << 30,
		Unpacked: 2 << 30, ArchiveList: 100_000, Path: 1024, Tool: 30 * time.Minute}
}

// Filled replaces zero fields by their defaults.
func (l Limits) Filled() Limits {
	d := DefaultLimits()
	fill(&l.Files, d.Files)
	fill(&l.Bytes, d.Bytes)
	fill(&l.Archives, d.Archives)
	fill(&l.Archive, d.Archive)
	fill(&l.Fetched, d.Fetched)
	fill(&l.Unpacked, d.Unpacked)
	fill(&l.ArchiveList, d.ArchiveList)
	fill(&l.Path, d.Path)
	fill(&l.Tool, d.Tool)
	return l
}

func fill[T ~int | ~int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
