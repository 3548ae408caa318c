"""What a fitted estimator can be asked, a mixin a subject, with what each needs."""
