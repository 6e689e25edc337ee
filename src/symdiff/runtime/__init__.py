"""What users call: functions, signatures, transforms."""
