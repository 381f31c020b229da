// Traefik requires this version of the module too, and imports nothing of it.
module github.com/go-acme/lego/v4

go 1.26.0
