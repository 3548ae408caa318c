# Numbers with full precision as JSON, in base R.

to_json <- function(value, indent = "") {
  inner <- paste0(indent, "  ")
  if (is.list(value)) {
    parts <- vapply(names(value), function(n) paste0(inner, "\"", n, "\": ", to_json(value[[n]], inner)), "")
    return(paste0("{\n", paste(parts, collapse = ",\n"), "\n", indent, "}"))
  }
  if (is.character(value)) return(paste0("\"", value, "\""))
  shown <- formatC(as.vector(value), digits = 17, format = "g")
  if (length(value) == 1) shown else paste0("[", paste(trimws(shown), collapse = ", "), "]")
}
