// Package interview starts a server for the sole purpose of asking it what it says about
// itself (Ask): every tool, prompt, resource and instruction, in each era of the protocol,
// in the sandbox of its profile with an empty workspace. Inspect searches the answers for
// words for the model.
//
// It decides nothing about a definition, and keeps none.
package interview
