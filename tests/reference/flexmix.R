# Fits of flexmix to the simulated data, from the true classes, to tight tolerances.
# Run in this folder: Rscript flexmix.R   (writes flexmix.json)

suppressPackageStartupMessages(library(flexmix))
source("json.R")

regressions <- read.csv("data/regressions.csv")
grouped <- read.csv("data/grouped.csv")
control <- list(iter.max = 5000, tolerance = 1e-14, minprior = 0)

fit <- function(formula, data, model, gate = ~z) {
  concomitant <- if (is.null(gate)) FLXPconstant() else FLXPmultinom(gate)
  flexmix(formula, data = data, k = 2, cluster = data$class, model = model, concomitant = concomitant,
          control = control)
}

# Coefficients expert by expert, then the gate's second column; flexmix numbers components as the start does.
describe <- function(m) {
  components <- parameters(m)
  if (is.list(components)) components <- do.call(rbind, components)
  list(log_likelihood = as.numeric(logLik(m)), parameters = attr(logLik(m), "df"),
       names = paste(rownames(components), collapse = " "),
       expert1 = components[, 1], expert2 = components[, 2],
       gate = parameters(m, which = "concomitant")[, 2])
}

fits <- list(
  poisson = fit(poisson ~ x, regressions, FLXMRglm(family = "poisson")),
  poisson_constant_gate = fit(poisson ~ x, regressions, FLXMRglm(family = "poisson"), NULL),
  binomial = fit(cbind(successes, failures) ~ x, regressions, FLXMRglm(family = "binomial")),
  # inverse link, so without covariates; the shape is n / deviance, not the maximum likelihood estimate
  gamma = fit(gamma ~ 1, regressions, FLXMRglm(family = "Gamma")),
  # sigma has the divisor n - p, so this is not the maximum likelihood estimate either
  gaussian = fit(gaussian ~ x, regressions, FLXMRglm(family = "gaussian")),
  grouped_poisson = fit(poisson ~ x | person, grouped, FLXMRglm(family = "poisson"))
)

result <- c(list(program = paste("flexmix", packageVersion("flexmix")), r = R.version.string),
            lapply(fits, describe))
writeLines(to_json(result), "flexmix.json")
