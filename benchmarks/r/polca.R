# Latent classes with covariates by poLCA. Arguments: data, number of starts. Prints seconds, logLik, note.
suppressPackageStartupMessages(library(poLCA))
args <- commandArgs(TRUE)
d <- read.csv(args[1])
items <- grep("^item", names(d), value = TRUE)
d[items] <- lapply(d[items], function(column) as.integer(column) + 1L)
formula <- as.formula(paste0("cbind(", paste(items, collapse = ", "), ") ~ v1 + v2"))
set.seed(1)
time <- system.time(
  m <- poLCA(formula, d, nclass = 3, nrep = as.integer(args[2]), maxiter = 5000, verbose = FALSE))
cat(time[["elapsed"]], sprintf("%.10f", m$llik), paste(m$numiter, "EM steps"), sep = "\t")
cat("\n")
