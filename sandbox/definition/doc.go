// Package definition holds a server's descriptions of itself, its tools, prompts and
// resources, as a person approves them: definitions in canonical form; the pins, which
// record those seen and a person's decisions; the difference between two definitions
// for a reader; and the parts that may vary between two starts without counting as a
// change. It contains only values. Package guard uses them while a server runs,
// sandbox/launch stores them in files, and package finding searches them for text that
// targets a model.
package definition
