# Proportional odds by clm, and by polr. Prints program, seconds, CPU seconds, logLik, a line each.
args <- commandArgs(TRUE)
d <- read.csv(args[1])
d$y <- factor(d$y, ordered = TRUE)
f <- as.formula(args[2])
row <- function(program, fit) {
  t <- system.time(m <- fit())
  cat(program, t[["elapsed"]], t[["user.self"]], sprintf("%.8f", as.numeric(logLik(m))), sep = "\t")
  cat("\n")
}
row("ordinal clm", function() ordinal::clm(f, data = d))
row("MASS polr", function() MASS::polr(f, data = d, Hess = TRUE))
