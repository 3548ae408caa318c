# Gaussian mixture with full covariances by mclust, EM from the true classes to a tight tolerance.
# Run in this folder: Rscript mclust.R   (writes mclust.json)

suppressPackageStartupMessages(library(mclust))
source("json.R")

clusters <- read.csv("data/clusters.csv")
values <- as.matrix(clusters[, c("a", "b", "c")])
m <- me(values, modelName = "VVV", z = unmap(clusters$class), control = emControl(tol = c(1e-14, 1e-14), itmax = 1e5))
result <- list(program = paste("mclust", packageVersion("mclust")), r = R.version.string,
               log_likelihood = m$loglik, shares = m$parameters$pro, means = m$parameters$mean,
               covariances = m$parameters$variance$sigma)
writeLines(to_json(result), "mclust.json")
