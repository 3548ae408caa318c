# Writes flexmix's data sets to a folder and fits each model of known.py; prints name, seconds, logLik of the best of
# some starts. Arguments: folder, number of starts.
suppressPackageStartupMessages(library(flexmix))
args <- commandArgs(TRUE)
starts <- as.integer(args[2])
data(list = c("NPreg", "patent", "fabricfault", "seizure", "betablocker", "salmonellaTA98", "trypanosome",
              "bioChemists"), package = "flexmix")
betablocker$Survived <- betablocker$Total - betablocker$Deaths
trypanosome$Alive <- 1 - trypanosome$Dead
for (name in c("NPreg", "patent", "fabricfault", "seizure", "betablocker", "salmonellaTA98", "trypanosome",
               "bioChemists"))
  write.csv(get(name), file.path(args[1], paste0(name, ".csv")), row.names = FALSE)

gaussian <- function(f) FLXMRglm(f, family = "gaussian")
poisson_glm <- function(f = . ~ .) FLXMRglm(f, family = "poisson")
fixed <- function(family, f) FLXMRglmfix(family = family, fixed = f)
binary <- cbind(Deaths, Survived) ~ 1 | Center
models <- list(
  npreg = list(yn ~ x + I(x^2), NPreg, 2, gaussian(. ~ .)),
  npreg_joint = list(~x, NPreg, 2, list(gaussian(yn ~ . + I(x^2)), poisson_glm(yp ~ .))),
  npreg_joint_gate = list(~x, NPreg, 2, list(gaussian(yn ~ . + I(x^2)), poisson_glm(yp ~ .)), FLXPmultinom(~yb)),
  npreg_grouped = list(yn ~ x + I(x^2) | id2, NPreg, 2, gaussian(. ~ .)),
  patent_gate2 = list(Patents ~ lgRD, patent, 2, poisson_glm(), FLXPmultinom(~RDS)),
  patent_gate3 = list(Patents ~ lgRD, patent, 3, poisson_glm(), FLXPmultinom(~RDS)),
  fabricfault = list(Faults ~ log(Length), fabricfault, 2, poisson_glm()),
  fabricfault_common = list(Faults ~ 1, fabricfault, 2, fixed("poisson", ~ log(Length))),
  seizure = list(Seizures ~ Treatment * log(Day), seizure, 2,
                 FLXMRglm(family = "poisson", offset = log(seizure$Hours))),
  betablocker2 = list(binary, betablocker, 2, fixed("binomial", ~Treatment)),
  betablocker3 = list(binary, betablocker, 3, fixed("binomial", ~Treatment)),
  betablocker4 = list(binary, betablocker, 4, fixed("binomial", ~Treatment)),
  betablocker_varying = list(cbind(Deaths, Survived) ~ Treatment | Center, betablocker, 3,
                             FLXMRglm(family = "binomial")),
  salmonella = list(y ~ 1, salmonellaTA98, 2, fixed("poisson", ~ x + log(x + 10))),
  trypanosome = list(cbind(Dead, Alive) ~ 1, trypanosome, 2, fixed("binomial", ~ log(Dose))),
  biochemists = list(art ~ fem + mar + kid5 + phd + ment, bioChemists, 2, poisson_glm())
)

set.seed(1)
control <- list(iter.max = 2000, tolerance = 1e-10, minprior = 0)
for (name in names(models)) {
  m <- models[[name]]
  concomitant <- if (length(m) > 4) m[[5]] else FLXPconstant()
  time <- system.time(
    best <- try(stepFlexmix(m[[1]], data = m[[2]], k = m[[3]], model = m[[4]], concomitant = concomitant,
                            nrep = starts, control = control, verbose = FALSE), silent = TRUE))
  value <- if (inherits(best, "try-error")) NA else as.numeric(logLik(best))
  cat(name, time[["elapsed"]], sprintf("%.8f", value), sep = "\t")
  cat("\n")
}
