# Gaussian experts with a gate by flexmix, default tolerance, from the column `start`. Prints seconds, logLik, note.
suppressPackageStartupMessages(library(flexmix))
d <- read.csv(commandArgs(TRUE)[1])
x <- paste(grep("^x", names(d), value = TRUE), collapse = " + ")
gate <- as.formula(paste("~", x))
time <- system.time(
  m <- flexmix(as.formula(paste("y ~", x)), data = d, k = 3, cluster = d$start, model = FLXMRglm(family = "gaussian"),
               concomitant = FLXPmultinom(gate)))
cat(time[["elapsed"]], sprintf("%.10f", as.numeric(logLik(m))), paste(m@iter, "EM steps"), sep = "\t")
cat("\n")
