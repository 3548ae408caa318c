# Full covariances by mclust from the column `start` to a relative tolerance. Prints seconds, logLik, note.
suppressPackageStartupMessages(library(mclust))
args <- commandArgs(TRUE)
d <- read.csv(args[1])
values <- as.matrix(d[, names(d) != "start"])
control <- emControl(tol = rep(as.numeric(args[2]), 2))
time <- system.time(m <- me(values, modelName = "VVV", z = unmap(d$start), control = control))
cat(time[["elapsed"]], sprintf("%.10f", m$loglik), paste(attr(m, "info")[["iterations"]], "EM steps"), sep = "\t")
cat("\n")
