// Package origin says who could have made a file: the person, or somebody else whose
// files mcpen does not take for theirs. It knows repositories, unpacked projects,
// downloads, files that other users may write, and every folder that was ever given to a
// server to write (RecordWritten).
//
// It decides nothing: package trust asks for a decision where a profile is foreign, and
// others refuse a foreign file or do without.
package origin
