# Gaussian experts with a gate by MoEClust from the column `start`. Prints seconds, logLik, note.
suppressPackageStartupMessages(library(MoEClust))
d <- read.csv(commandArgs(TRUE)[1])
x <- paste(grep("^x", names(d), value = TRUE), collapse = " + ")
rhs <- as.formula(paste("~", x))
z <- outer(d$start, sort(unique(d$start)), "==") + 0
time <- system.time(
  m <- MoE_clust(d$y, G = 3, modelNames = "V", gating = rhs, expert = rhs, network.data = d, init.z = "list",
                 z.list = list(z), verbose = FALSE))
cat(time[["elapsed"]], sprintf("%.10f", m$loglik[length(m$loglik)]), paste(m$iters, "EM steps"), sep = "\t")
cat("\n")
