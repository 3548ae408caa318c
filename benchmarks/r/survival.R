# Survival fits of one package. Prints case, program, seconds, logLik, a line each.
args <- commandArgs(TRUE)
package <- args[1]
d <- read.csv(args[2])
suppressPackageStartupMessages({library(survival); library(package, character.only = TRUE)})
row <- function(case, program, fit, ll) {
  seconds <- system.time(m <- fit())[["elapsed"]]
  cat(case, program, seconds, sprintf("%.8f", ll(m)), sep = "\t")
  cat("\n")
}
f <- Surv(time, event) ~ x1 + x2 + x3
r <- ~ x1 + x2 + x3
if (package == "survival") {
  row("k: Weibull, accelerated", "survival survreg", function() survreg(f, d), function(m) m$loglik[2])
} else if (package == "flexsurv") {
  row("k: Weibull, hazards and power", "flexsurv weibullPH with a shape formula",
      function() flexsurvreg(f, anc = list(shape = r), data = d, dist = "weibullPH"), function(m) m$loglik)
  row("k: generalised gamma", "flexsurv gengamma", function() flexsurvreg(f, data = d, dist = "gengamma"),
      function(m) m$loglik)
} else {
  row("k: kappa free, hazards and power", "mpr PGW (its own law)",
      function() mpr(Surv(time, event) ~ list(r, r, ~1), data = d, family = "PGW"), function(m) m$model$loglike)
}
