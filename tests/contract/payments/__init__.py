"""What every payment provider must do, capability by capability. A provider runs a suite by giving it a rig."""
