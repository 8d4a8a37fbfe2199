package main

const readmeFile = "../../README.md"
