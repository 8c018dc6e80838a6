//! Which names exist without being bound, and which nodes bind names.

use std::collections::HashSet;

use ruff_python_ast::{AnyNodeRef, ExprContext};

/// The only builtins of the sandbox; exception classes are not among them.
pub(super) const ALLOWED_BUILTINS: [&str; 24] = [
    "len",
    "str",
    "int",
    "float",
    "bool",
    "list",
    "dict",
    "tuple",
    "set",
    "range",
    "enumerate",
    "zip",
    "map",
    "filter",
    "sorted",
    "reversed",
    "min",
    "max",
    "sum",
    "abs",
    "round",
    "isinstance",
    "type",
    "print",
];

/// Adds the names that `node` itself binds, in whatever scope.
pub(super) fn bound_names(node: AnyNodeRef<'_>, bound: &mut HashSet<String>) {
    match node {
        AnyNodeRef::ExprName(name) if name.ctx != ExprContext::Load => {
            bound.insert(name.id.to_string());
        }
        AnyNodeRef::StmtFunctionDef(function) => {
            bound.insert(function.name.to_string());
        }
        AnyNodeRef::Parameter(parameter) => {
            bound.insert(parameter.name.to_string());
        }
        AnyNodeRef::ExceptHandlerExceptHandler(handler) => {
            bound.extend(handler.name.as_ref().map(ToString::to_string));
        }
        _ => {}
    }
}
