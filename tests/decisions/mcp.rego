# What Open Policy Agent decides about tools in the tests.
package mcp

default allow := false

allow if {
	"manager" in input.subject.properties.roles
	is_number(input.context.arguments.amount)
	input.context.arguments.amount <= 50
}

verdict := {"allow": allow, "context": {"reason_user": "At most 50.", "reason_admin": "mcp.rego"}}
